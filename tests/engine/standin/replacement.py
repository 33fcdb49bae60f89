"""Which changes the real provider answers with a replacement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.engine.standin.vendors import vendor_of
from tests.sdk_schema import Schema


class UnlistedTypeError(Exception):
    """It is not known which changes replace this type."""


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The top-level properties that differ; what is not known yet differs.

    A write-only property never does: the provider sees a change only in its `...WoVersion`.
    """
    names = {name for name in (*old, *new) if not name.startswith("__") and not name.endswith("Wo")}
    return sorted(name for name in names if _seen(name, old.get(name)) != _seen(name, new.get(name)))


def drifted(schema: Schema, state: Mapping[str, Any], news: Mapping[str, Any], ignored: Sequence[str]) -> list[str]:
    """The properties in which what there is, as last read, is not what the program says.

    Those that the program leaves out differ only where the provider takes that for empty.
    """
    read_back = vendor_of(schema.token).read_back.get(schema.token, {})
    return sorted(
        name
        for name in {*news, *read_back} & state.keys()
        if name not in ignored and not name.startswith("__") and state[name] != news.get(name, [])
    )


def _seen(name: str, value: Any) -> Any:
    """What of a property's value a change is seen in: not the password of a Docker registry, which always moves."""
    if name == "registry" and isinstance(value, dict):
        return {key: part for key, part in value.items() if key != "password"}
    return value


def replacing(schema: Schema, differing: Sequence[str]) -> list[str]:
    """Those of the changed properties that replace the resource. Raises UnlistedTypeError."""
    if not differing:
        return []
    forces = vendor_of(schema.token).replacing.get(schema.token)
    if forces is None:
        raise UnlistedTypeError(f"the stand-in does not know which changes replace {schema.token}")
    return [name for name in differing if name in forces]
