"""Properties as they travel between program, engine and provider, and as plain Python values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from tests.sdk_schema import UNKNOWN, Unknown

# How a marked value travels, and the mark of a secret one and of an asset (sdk/go/common/resource/sig).
MARK = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


HIDDEN = "[secret]"


def from_wire(properties: struct_pb2.Struct, *, hide: bool = False) -> dict[str, Any]:
    """Plain values: secrets unwrapped, what is not known yet as `UNKNOWN`, numbers as floats, no None.

    `hide`: `HIDDEN` in the place of each secret, at every depth.
    """
    values = {name: _plain(value, hide) for name, value in properties.fields.items()}
    return {name: value for name, value in values.items() if value is not None}


def to_wire(values: Mapping[str, Any]) -> struct_pb2.Struct:
    wire = struct_pb2.Struct()
    for name, value in values.items():
        if value is not None:
            wire.fields[name].CopyFrom(_wired(value))
    return wire


def is_secret(value: struct_pb2.Value) -> bool:
    """Whether a property travels wrapped as a secret."""
    return value.WhichOneof("kind") == "struct_value" and (
        value.struct_value.fields[MARK].string_value == SECRET if MARK in value.struct_value.fields else False
    )


def _plain(value: struct_pb2.Value, hide: bool) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        if is_secret(value):
            return HIDDEN if hide else _plain(value.struct_value.fields["value"], hide)
        return from_wire(value.struct_value, hide=hide)
    if kind == "list_value":
        return [_plain(item, hide) for item in value.list_value.values]
    if kind == "string_value" and value.string_value == rpc.UNKNOWN:
        return UNKNOWN
    return None if kind in (None, "null_value") else getattr(value, kind)


def _wired(value: Any) -> struct_pb2.Value:
    if isinstance(value, Unknown):
        return struct_pb2.Value(string_value=rpc.UNKNOWN)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=to_wire(value))
    return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_wired(item) for item in value]))
