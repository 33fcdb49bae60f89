"""What every target's settings have in common."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import pulumi
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, field_validator
from pydantic.alias_generators import to_camel

# A key is a bearer token of its own; 32 characters of an alphabet of 64 are 192 bits.
MIN_API_KEY_LENGTH = 32
MAX_API_KEY_LENGTH = 512  # the server's own limit


class SettingsError(pulumi.RunError):
    """The stack's settings cannot be used; the text lists every problem with its key, value and remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["the stack's settings cannot be used:", *(f"  - {text}" for text in problems)]))
        self.problems = problems


class Model(BaseModel):
    """A group of settings. Python names here, camelCase in the stack's file; nothing unknown, nothing converted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, hide_input_in_errors=True
    )


class EngineSettings(Model):
    """Which engine speaks."""

    name: Literal["espeak"]


class StorageSettings(Model):
    """What happens to stored objects."""

    force_destroy: bool


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


def _list_as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _empty_as_none(value: Any) -> Any:
    return None if value == "" else value


ClientName = Annotated[str, AfterValidator(_client_name)]
ApiKey = Annotated[SecretStr, AfterValidator(_strong_key)]

T = TypeVar("T")
# The CLI gives lists, and a frozen model should hold nothing that can be changed.
Items = Annotated[tuple[T, ...], BeforeValidator(_list_as_tuple)]
# The CLI wants a default of the key's own type, so that "" stands for what is not given.
Given = Annotated[T | None, BeforeValidator(_empty_as_none)]


class StackSettings(Model):
    """The settings of a stack of any target."""

    target: str
    engine: EngineSettings
    api_keys: dict[ClientName, ApiKey]
    storage: StorageSettings
    checks: bool

    @field_validator("api_keys")
    @classmethod
    def _clients_have_keys_of_their_own(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        owners: dict[str, list[str]] = {}
        for client, key in keys.items():
            owners.setdefault(key.get_secret_value(), []).append(client)
        shared = [" and ".join(clients) for clients in owners.values() if len(clients) > 1]
        if shared:
            raise ValueError(f"{'; '.join(shared)} have the same key; give each client one of its own")
        return keys

    @property
    def place(self) -> str | None:
        """The cloud's region that everything is in; None on a machine of one's own."""
        return None
