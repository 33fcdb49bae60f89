"""Who may call the service: the clients' keys, and how much each may ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from components.settings.model import Model

# A key is a bearer token of its own; 32 characters of an alphabet of 64 are 192 bits.
MIN_API_KEY_LENGTH = 32
MAX_API_KEY_LENGTH = 512  # the server's own limit
# One in use, and its successor while the client changes over.
MAX_KEYS = 2

Keys = tuple[SecretStr, ...]


def _strong_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if len(text) < MIN_API_KEY_LENGTH:
        raise ValueError(f"the key has {len(text)} characters; give at least {MIN_API_KEY_LENGTH} random ones")
    if len(text) > MAX_API_KEY_LENGTH:
        raise ValueError(f"the key has {len(text)} characters; give at most {MAX_API_KEY_LENGTH}")
    # It travels in an HTTP header.
    if not all("\x21" <= char <= "\x7e" for char in text):
        raise ValueError("the key has a space or a character that is not ASCII; use letters, digits, - and _")
    return key


def _client_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError("use 1 to 64 letters, digits, dots, underscores or hyphens, a letter or digit first")
    return name


def _one_or_two(given: Any) -> Any:
    """A client's key, or its keys in a list, as a tuple."""
    keys = given if isinstance(given, list) else [given]
    if not 1 <= len(keys) <= MAX_KEYS:
        raise ValueError(f"has {len(keys)} keys; give one, or the new and the old one while the client changes over")
    return tuple(keys)


ClientName = Annotated[str, AfterValidator(_client_name)]
ApiKey = Annotated[SecretStr, AfterValidator(_strong_key)]
ClientKeys = Annotated[tuple[ApiKey, ...], BeforeValidator(_one_or_two)]


class ClientSettings(Model):
    """What one client may do. What is left out is not limited, and no client is an administrator unless it says so."""

    concurrency: int | None = Field(None, ge=1, le=10_000)
    audio_seconds_per_minute: float | None = Field(None, gt=0, le=1_000_000)
    admin: bool = False


def shared_keys(api_keys: Mapping[str, Keys]) -> list[str]:
    """Which clients have a key in common, as texts that show none; a client's own two must differ as well."""
    owners: dict[str, list[str]] = {}
    for client, keys in api_keys.items():
        for key in keys:
            owners.setdefault(key.get_secret_value(), []).append(client)
    return [" and ".join(clients) for clients in owners.values() if len(clients) > 1]


def keys_file(api_keys: Mapping[str, Keys], clients: Mapping[str, ClientSettings]) -> dict[str, Any]:
    """What the server's keys file holds, in the order of the clients' names: the bare key of a client that has one and
    no limits, else an object of its `keys` and limits.
    """
    document: dict[str, Any] = {}
    for client, keys in sorted(api_keys.items()):
        texts = [key.get_secret_value() for key in keys]
        limits = clients[client].model_dump(by_alias=True, exclude_defaults=True) if client in clients else {}
        document[client] = texts[0] if len(texts) == 1 and not limits else {"keys": texts, **limits}
    return document
