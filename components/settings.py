"""The stack's settings: typed, validated, and read from `pulumi.Config` here and nowhere else.

The defaults stand in Pulumi.yaml. The CLI fills them in for a key that the stack leaves out; `load` does so once more
for whoever has no CLI (tests), and merges an object such as `storage` key by key, so that a stack names only what it
changes.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pulumi
import yaml
from pulumi.runtime.config import CONFIG, is_config_secret
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.alias_generators import to_camel

NAMESPACE = "indextts2"
PROJECT_FILE = Path(__file__).resolve().parent.parent / "Pulumi.yaml"

# The CLI cannot insist on these itself: it would refuse their unencrypted defaults.
SECRET_KEYS = ("apiKeys",)

# A key is a bearer token of its own; 32 characters of an alphabet of 64 are 192 bits.
MIN_API_KEY_LENGTH = 32
MAX_API_KEY_LENGTH = 512  # the server's own limit
MAX_REPLICAS = 64


class SettingsError(pulumi.RunError):
    """The stack's settings cannot be used; the text lists every problem with its key, value and remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["the stack's settings cannot be used:", *(f"  - {text}" for text in problems)]))
        self.problems = problems


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, hide_input_in_errors=True
    )


class EngineSettings(_Model):
    """Which engine speaks."""

    name: Literal["espeak"]


class StorageSettings(_Model):
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


ClientName = Annotated[str, AfterValidator(_client_name)]
ApiKey = Annotated[SecretStr, AfterValidator(_strong_key)]


class StackSettings(_Model):
    """What every target's settings have in common."""

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


class LocalSettings(StackSettings):
    """The settings of `target: local`."""

    target: Literal["local"]
    data_dir: str
    host: str
    port: int = Field(ge=1, le=65535)
    replicas: int = Field(ge=1, le=MAX_REPLICAS)

    @field_validator("data_dir")
    @classmethod
    def _data_dir_is_named(cls, path: str) -> str:
        if not path.strip():
            raise ValueError("it is empty; give a directory, say .local/data/{stack}")
        return path

    @field_validator("host")
    @classmethod
    def _host_is_an_address(cls, host: str) -> str:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("not an IP address; use 127.0.0.1, or 0.0.0.0 for every interface") from None
        return host

    @property
    def public(self) -> bool:
        """Whether other machines can reach the service."""
        return not ipaddress.ip_address(self.host).is_loopback


TARGETS: Mapping[str, type[StackSettings]] = {"local": LocalSettings}


def load(
    stack: str,
    config: Mapping[str, Any] | None = None,
    is_secret: Callable[[str], bool] = is_config_secret,
    project_file: Path = PROJECT_FILE,
) -> StackSettings:
    """The settings of `stack`.

    `config` maps full keys (`indextts2:replicas`) to values as the CLI passes them: strings, objects as JSON. Without
    it the running program's own configuration is read. `is_secret` says of a full key whether it is encrypted.

    Raises `SettingsError` with all problems at once.
    """
    declared = yaml.safe_load(project_file.read_text(encoding="utf-8"))["config"]
    values, problems = _parse(CONFIG.get() if config is None else config, declared)
    problems += [
        f"{NAMESPACE}:{key}: stands in the stack's file unencrypted; remove it there and set it with "
        f"pulumi config set --secret --path '{NAMESPACE}:{key}.NAME'"
        for key in SECRET_KEYS
        if values[key] != declared[key]["default"] and not is_secret(f"{NAMESPACE}:{key}")
    ]

    target = values.get("target")
    model = TARGETS.get(target) if isinstance(target, str) else None
    if model is None:
        problems.append(f"{NAMESPACE}:target: {target!r} is no target; use {' or '.join(TARGETS)}")
        raise SettingsError(problems)

    fields = {field.alias or name for name, field in model.model_fields.items()}
    for key in sorted(values.keys() - fields):
        if values[key] != declared[key].get("default"):
            problems.append(f"{NAMESPACE}:{key}: is not used by target {target!r}; remove it, or choose another target")
    chosen = {key: value for key, value in values.items() if key in fields}
    if isinstance(chosen.get("dataDir"), str):
        chosen["dataDir"] = chosen["dataDir"].replace("{stack}", stack)

    try:
        settings = model.model_validate(chosen)
    except ValidationError as error:
        problems += [_explain(detail, chosen) for detail in error.errors(include_input=False, include_url=False)]
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _parse(config: Mapping[str, Any], declared: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Every declared key's value - the stack's, else the default - and what is wrong with the stack's."""
    values = {key: schema.get("default") for key, schema in declared.items()}
    problems: list[str] = []
    for full_key, raw in config.items():
        namespace, _, key = full_key.partition(":")
        if namespace != NAMESPACE:
            continue
        if key not in declared:
            problems.append(f"{NAMESPACE}:{key}: there is no such key{_nearest(key, declared)}")
            continue
        kind, default = declared[key]["type"], declared[key].get("default")
        try:
            value = _from_cli(raw, kind)
        except ValueError:
            shown = "the value" if key in SECRET_KEYS else repr(raw)
            problems.append(f"{NAMESPACE}:{key}: {shown} is not of type {kind}")
            continue
        values[key] = {**default, **value} if kind == "object" and default else value
    return values, problems


def _from_cli(raw: Any, kind: str) -> Any:
    """A value as the CLI passes it (text; objects and arrays as JSON) in its own type. Raises ValueError."""
    if not isinstance(raw, str) or kind == "string":
        return raw
    value = json.loads(raw)
    types: dict[str, type] = {"integer": int, "boolean": bool, "object": dict, "array": list}
    if type(value) is not types[kind]:
        raise ValueError(raw)
    return value


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(sorted(known))}"


def _explain(detail: Any, values: Mapping[str, Any]) -> str:
    """One pydantic error as `key: value - what would be right`, without the value of a secret."""
    path = [str(part) for part in detail["loc"] if part != "[key]"]
    key = f"{NAMESPACE}:{'.'.join(path)}"
    text = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
    if detail["type"] == "extra_forbidden":
        return f"{key}: there is no such key; remove it or correct its spelling"
    if detail["type"] == "missing":
        return f"{key}: is missing; give it a value"
    if path[0] == "apiKeys":
        return f"{key}: {text}"
    found: Any = values
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return f"{key}: {found!r}: {text}"
