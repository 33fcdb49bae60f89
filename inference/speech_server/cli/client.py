"""Asks the service to speak, and asks again when it says that it will be able to later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from speech_server.cli.failure import CommandError
from speech_server.cli.service_address import ServiceAddress

TRIES = 6
_RETRIED = frozenset({408, 429, 502, 503, 504})
_LONGEST_WAIT_SECONDS = 120.0
# A long text on a slow GPU takes minutes; a service that is gone is noticed when connecting.
_TIMEOUT = httpx.Timeout(900.0, connect=5.0)


@dataclass(frozen=True)
class Clip:
    """Sound as the service sent it, with what its headers tell."""

    audio: bytes
    seconds: float
    synthesis_seconds: float
    engine: str
    warnings: str


def request_clip(
    service: ServiceAddress,
    body: Mapping[str, object],
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Clip:
    """POST `body` to /generate. A repeated request costs no second synthesis: the server knows it again.

    Raises CommandError for a refusal, and when the service cannot be reached or stays busy.
    """
    headers = {"Authorization": f"Bearer {service.api_key}"}
    trouble = ""
    with httpx.Client(
        headers=headers, timeout=_TIMEOUT, transport=transport, trust_env=not is_loopback(service.url)
    ) as client:
        for attempt in range(TRIES):
            try:
                response = client.post(f"{service.url}/generate", json=body)
            except httpx.TransportError as error:
                trouble = f"cannot reach {service.url}: {error or type(error).__name__}"
                wait = retry_wait(attempt, None)
            except httpx.InvalidURL as error:
                raise CommandError(f"{service.url!r} is no URL of a service: {error}") from None
            else:
                if response.status_code == 200:
                    return _clip(response)
                trouble = _refusal(response)
                if response.status_code not in _RETRIED:
                    raise CommandError(trouble)
                wait = retry_wait(attempt, response.headers.get("retry-after"))
            if attempt + 1 < TRIES:
                sleep(wait)
    raise CommandError(f"{trouble} (tried {TRIES} times)")


def retry_wait(attempt: int, retry_after: str | None) -> float:
    """Seconds until the next try: what the service asks for, else 0.5, 1, 2, 4, ... after attempts 0, 1, 2, 3, ..."""
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        return min(_LONGEST_WAIT_SECONDS, float(retry_after))
    return min(_LONGEST_WAIT_SECONDS, 0.5 * 2.0**attempt)


def is_loopback(url: str) -> bool:
    """A proxy from the environment must not get what is meant for this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _clip(response: httpx.Response) -> Clip:
    try:
        return Clip(
            audio=response.content,
            seconds=float(response.headers["x-audio-seconds"]),
            synthesis_seconds=float(response.headers["x-synthesis-seconds"]),
            engine=response.headers["x-engine"],
            warnings=response.headers.get("x-speech-warnings", ""),
        )
    except (KeyError, ValueError):
        raise CommandError(f"{response.request.url} answered, but is no speech service of this kind") from None


def _refusal(response: httpx.Response) -> str:
    request_id = response.headers.get("x-request-id", "none")
    try:
        error = response.json()["error"]
        told = f"{error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        told = "no explanation"
    return f"the service answered {response.status_code} {told} (request id {request_id})"
