"""Access keys of Alibaba Cloud: from the environment, or the RAM role of the instance that this runs on."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import httpx

# https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata (in its security hardening mode)
METADATA = "http://100.100.100.200"
_TOKEN_SECONDS = 3600
_METADATA_SECONDS = 3.0
# The metadata service hands out the next key before the old one ends; a call begun with the old one still has to end.
_REFRESHED_BEFORE = timedelta(minutes=15)
_USABLE_BEFORE = timedelta(minutes=1)


class CredentialsError(Exception):
    """There is no access key to be had now."""


@dataclass(frozen=True)
class AccessKey:
    """`token` and `expires` only for a role's temporary key."""

    id: str
    secret: str
    token: str | None
    expires: datetime | None

    def __repr__(self) -> str:
        return f"AccessKey({self.id})"


class AlibabaCredentials:
    """Safe to be asked by many threads; one of them asks the metadata service."""

    def __init__(self, environment: Mapping[str, str] = os.environ, metadata: str = METADATA) -> None:
        self._given = _from_environment(environment)
        self._role = environment.get("ALIBABA_CLOUD_ECS_METADATA", "")
        self._metadata = metadata
        self._lock = threading.Lock()
        self._kept: AccessKey | None = None

    def current(self) -> AccessKey:
        """A key that is good for the next minute at least; may block for seconds. Raises CredentialsError."""
        if self._given is not None:
            return self._given
        kept = self._kept
        if kept is not None and _left(kept) > _REFRESHED_BEFORE:
            return kept
        with self._lock:
            if self._kept is not kept and self._kept is not None:
                return self._kept
            try:
                self._kept = self._ask()
            except CredentialsError:
                if kept is not None and _left(kept) > _USABLE_BEFORE:
                    return kept
                raise
            return self._kept

    async def get(self) -> AccessKey:
        """As `current`, without blocking the event loop."""
        kept = self._given or self._kept
        if kept is not None and (kept.expires is None or _left(kept) > _REFRESHED_BEFORE):
            return kept
        return await asyncio.to_thread(self.current)

    def _ask(self) -> AccessKey:
        folder = "/latest/meta-data/ram/security-credentials/"
        try:
            # No proxy from the environment: it would be given the instance's keys.
            with httpx.Client(base_url=self._metadata, timeout=_METADATA_SECONDS, trust_env=False) as client:
                ttl = {"X-aliyun-ecs-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
                token = client.put("/latest/api/token", headers=ttl).raise_for_status().text
                client.headers["X-aliyun-ecs-metadata-token"] = token
                role = self._role or client.get(folder).raise_for_status().text.strip()
                found = client.get(folder + role).raise_for_status().json()
        except httpx.HTTPStatusError as error:
            reason = f"the metadata service answered {error.response.status_code}: has the instance a RAM role?"
            raise CredentialsError(reason) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            reason = f"the metadata service cannot be asked ({type(error).__name__})"
            advice = "set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET where there is none"
            raise CredentialsError(f"{reason}: {advice}") from None
        return _role_key(found)


def _from_environment(environment: Mapping[str, str]) -> AccessKey | None:
    key_id = environment.get("ALIBABA_CLOUD_ACCESS_KEY_ID")
    secret = environment.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET")
    if not key_id or not secret:
        return None
    return AccessKey(key_id, secret, environment.get("ALIBABA_CLOUD_SECURITY_TOKEN") or None, None)


def _role_key(found: object) -> AccessKey:
    if not isinstance(found, dict) or found.get("Code") != "Success":
        raise CredentialsError("the metadata service has no key for the instance's RAM role")
    try:
        expires = datetime.strptime(found["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        return AccessKey(found["AccessKeyId"], found["AccessKeySecret"], found["SecurityToken"], expires)
    except (KeyError, TypeError, ValueError):
        raise CredentialsError("the metadata service's answer about the RAM role cannot be read") from None


def _left(key: AccessKey) -> timedelta:
    return timedelta.max if key.expires is None else key.expires - datetime.now(timezone.utc)
