"""From the stack's configuration to its settings.

The defaults stand in Pulumi.yaml. The CLI fills them in for a key that the stack leaves out; `load` does so once more
for whoever has no CLI (tests), and merges an object such as `storage` key by key, so that a stack names only what it
changes.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pulumi.runtime.config import CONFIG, is_config_secret
from pydantic import BaseModel, ValidationError

from components.settings.alicloud import AlicloudSettings
from components.settings.aws import AwsSettings
from components.settings.base import SettingsError, StackSettings
from components.settings.local import LocalSettings

NAMESPACE = "indextts2"
PROJECT_FILE = Path(__file__).resolve().parents[2] / "Pulumi.yaml"

# The CLI cannot insist on these itself: it would refuse their unencrypted defaults.
SECRET_KEYS = ("apiKeys", "registryPassword")

TARGETS: Mapping[str, type[StackSettings]] = {
    "local": LocalSettings,
    "aws": AwsSettings,
    "alicloud": AlicloudSettings,
}


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
        f"pulumi config set --secret {_argument(key, declared[key]['type'])}"
        for key in SECRET_KEYS
        if values[key] != declared[key]["default"] and not is_secret(f"{NAMESPACE}:{key}")
    ]

    target = values.get("target")
    model = TARGETS.get(target) if isinstance(target, str) else None
    if model is None:
        problems.append(f"{NAMESPACE}:target: {target!r} is no target; use {' or '.join(TARGETS)}")
        raise SettingsError(problems)

    defaults = {key: schema.get("default") for key, schema in declared.items()}
    chosen, unused = _of_target(model, values, defaults)
    problems += [
        f"{NAMESPACE}:{key}: is not used by target {target!r}; remove it, or choose another target" for key in unused
    ]
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


def _argument(key: str, kind: str) -> str:
    return f"--path '{NAMESPACE}:{key}.NAME'" if kind == "object" else f"{NAMESPACE}:{key}"


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(sorted(known))}"


def _of_target(
    model: type[BaseModel], values: Mapping[str, Any], defaults: Mapping[str, Any], path: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """The values that `model` reads, and the keys that only another target reads and the stack has changed.

    A key that no default names is kept, for the model to refuse by name.
    """
    fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    chosen: dict[str, Any] = {}
    unused: list[str] = []
    for key, value in sorted(values.items()):
        if key not in fields:
            if key not in defaults:
                chosen[key] = value
            elif value != defaults[key]:
                unused.append(f"{path}{key}")
            continue
        inner = _model(fields[key])
        if inner and isinstance(value, Mapping):
            value, more = _of_target(inner, value, defaults[key], f"{path}{key}.")
            unused += more
        chosen[key] = value
    return chosen, unused


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model of a group of settings, also of one that may be None."""
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _explain(detail: Any, values: Mapping[str, Any]) -> str:
    """One pydantic error as `key: value - what would be right`, without the value of a secret."""
    path = _as_given([part for part in detail["loc"] if part != "[key]"], values)
    key = NAMESPACE + ":" + ".".join(str(part) for part in path)
    text = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
    text = text.replace("a valid tuple", "a list").replace("a valid dictionary", "an object")
    if detail["type"] == "extra_forbidden":
        return f"{key}: there is no such key; remove it or correct its spelling"
    if detail["type"] == "missing":
        return f"{key}: is missing; give it a value"
    if path[0] in SECRET_KEYS:
        return f"{key}: {text}"
    found: Any = values
    for part in path:
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and isinstance(part, int):
            found = found[part]
    return f"{key}: {found!r}: {text}"


def _as_given(path: list[Any], values: Mapping[str, Any]) -> list[Any]:
    """The path without an index into what the stack gives as a single value and the model takes as a list of one."""
    found: Any = values
    for position, part in enumerate(path):
        if isinstance(part, int) and not isinstance(found, list):
            return path[:position]
        found = found.get(part) if isinstance(found, Mapping) else None
    return path
