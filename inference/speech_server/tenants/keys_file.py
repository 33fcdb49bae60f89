"""The keys file: which clients there are, their keys, and what each may do.

{"studio": "KEY", "school": {"keys": ["NEW", "OLD"], "concurrency": 4, "audioSecondsPerMinute": 600}}
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from speech_server.tenants.policy import ClientPolicy
from speech_server.tenants.webhook_secret import MAX_BYTES, MIN_BYTES, PREFIX, derived_secret

# A name is a part of object names in the bucket, so it is never "." or "..".
_CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"[\x21-\x7e]{16,512}")
_MAX_KEYS = 5  # the new one and those that are on their way out
_EXPECTED = '{"client name": "key"}'


class KeysError(Exception):
    """The keys file cannot be used; the message names the file and the client, never a key."""


@dataclass(frozen=True)
class Clients:
    """The file's content without any key: (sha256 of a key, its client) and what each client may do."""

    digests: tuple[tuple[bytes, str], ...]
    policies: Mapping[str, ClientPolicy]


def read_keys_file(path: Path) -> Clients:
    """Raises KeysError with every problem in the file."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise KeysError(f"{path}: the API keys file cannot be read: {reason}") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise KeysError(f"{path}: the API keys file must be a JSON object, {_EXPECTED}") from None
    if not isinstance(found, dict) or not found:
        raise KeysError(f"{path}: the API keys file must be a JSON object with a client, {_EXPECTED}")
    entries: dict[str, _Entry] = {}
    problems: list[str] = []
    for client, value in found.items():
        if not _CLIENT_NAME.fullmatch(client):
            problems.append(
                f"client {client[:80]!a}: a name is 1-64 of A-Z a-z 0-9 . _ - and begins with a letter or digit"
            )
        try:
            entries[client] = _entry(value)
        except ValueError as error:
            problems.append(f"client {client[:80]!a}: {error}")
    problems += _shared_keys(entries)
    if problems:
        raise KeysError(f"{path}: " + "; ".join(problems))
    return _without_keys(entries)


def _webhook_secret(secret: str) -> str:
    try:
        size = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith(PREFIX) or not MIN_BYTES <= size <= MAX_BYTES:
        raise ValueError(f"must be {PREFIX} and the base64 of {MIN_BYTES} to {MAX_BYTES} bytes")
    return secret


class _Entry(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True, alias_generator=to_camel
    )

    key: str | None = None
    keys: list[str] | None = Field(None, min_length=1, max_length=_MAX_KEYS)
    concurrency: int | None = Field(None, ge=1, le=10_000)
    audio_seconds_per_minute: float | None = Field(None, gt=0, le=1_000_000)
    admin: bool = False
    webhook_secret: Annotated[str, AfterValidator(_webhook_secret)] | None = None

    def all_keys(self) -> list[str]:
        return [*([] if self.key is None else [self.key]), *(self.keys or [])]


def _entry(value: Any) -> _Entry:
    """Raises ValueError; its message says which field, and quotes nothing."""
    try:
        entry = _Entry(key=value) if isinstance(value, str) else _Entry.model_validate(value)
    except ValidationError as error:
        raise ValueError("; ".join(_describe(problem) for problem in error.errors(include_input=False))) from None
    if (entry.key is None) == (entry.keys is None):
        raise ValueError('it needs its key: a text, or "key", or "keys" with the new and the old one')
    if not all(_KEY.fullmatch(key) for key in entry.all_keys()):
        raise ValueError("its key must be 16-512 printable ASCII characters, no spaces")
    return entry


def _describe(problem: Any) -> str:
    if problem["type"] == "model_type" or not problem["loc"]:
        return 'it must be the key itself, or an object with "key"'
    field = ".".join(str(part)[:60] for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(info.alias or name for name, info in _Entry.model_fields.items())
        return f"{field!a} is no field of a client; there are {known}"
    return f"{field!a}: {problem['msg'].removeprefix('Value error, ').removeprefix('Input should be ')}"


def _shared_keys(entries: Mapping[str, _Entry]) -> list[str]:
    """A key that stands twice, told without telling the key: for one client or for two."""
    owners: dict[str, list[str]] = {}
    for client, entry in entries.items():
        for key in entry.all_keys():
            owners.setdefault(key, []).append(client)
    shared = [clients for clients in owners.values() if len(clients) > 1]
    return [
        f"client {clients[0]!a} has a key twice"
        if len(set(clients)) == 1
        else f"two clients have the same key: {', '.join(map(ascii, dict.fromkeys(clients)))}"
        for clients in shared
    ]


def _without_keys(entries: Mapping[str, _Entry]) -> Clients:
    digests = [
        (hashlib.sha256(key.encode()).digest(), client) for client, entry in entries.items() for key in entry.all_keys()
    ]
    policies = {client: _policy(entry) for client, entry in entries.items()}
    return Clients(tuple(digests), policies)


def _policy(entry: _Entry) -> ClientPolicy:
    secrets = [entry.webhook_secret] if entry.webhook_secret else [derived_secret(key) for key in entry.all_keys()]
    return ClientPolicy(
        concurrency=entry.concurrency,
        audio_seconds_per_minute=entry.audio_seconds_per_minute,
        admin=entry.admin,
        webhook_secrets=tuple(secrets),
    )
