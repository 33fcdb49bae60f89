"""Which names are unique in an account, and which the provider makes up when the program gives none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from tests.engine.standin.vendors import vendor_of
from tests.sdk_schema import Schema

RANDOM_DIGITS = 7


def named_property(schema: Schema) -> str | None:
    """The property whose value the provider makes up when it is left out, or None."""
    name = vendor_of(schema.token).auto_named.get(schema.token, "name")
    known = schema.inputs.get(name) if name else None
    return name if known and known.type is str and not known.required else None


def made_up(schema: Schema, logical_name: str) -> str:
    """A name as the provider makes them: the resource's logical name and random digits. Raises ValueError."""
    length = len(logical_name) + 1 + RANDOM_DIGITS
    longest = vendor_of(schema.token).longest.get(schema.token, length)
    if length > longest:
        raise ValueError(f"the name {logical_name}-{'x' * RANDOM_DIGITS} is longer than {longest}")
    return f"{logical_name}-{secrets.token_hex(4)[:RANDOM_DIGITS]}"


def unique_key(schema: Schema, inputs: Mapping[str, Any], region: str) -> tuple[Any, ...] | None:
    """What no second resource may have, or None where duplicates are allowed."""
    vendor = vendor_of(schema.token)
    properties = vendor.unique.get(schema.token, ("name",) if "name" in schema.inputs else ())
    values = tuple(inputs.get(name) for name in properties)
    if not values or any(value is None for value in values):
        return None
    place = "" if schema.token.startswith(vendor.unique_everywhere) else region
    return schema.token, place, *values


def name_in_the_cloud(schema: Schema, inputs: Mapping[str, Any], logical_name: str, number: int) -> str:
    """What the resource is called where its vendor lists it; a made one where it has no name."""
    name = inputs.get(vendor_of(schema.token).auto_named.get(schema.token, "name") or "")
    return name if isinstance(name, str) else f"{logical_name}-{number}"
