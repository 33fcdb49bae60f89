"""A request's headers by name, from the list that ASGI gives: most requests need two of them, once."""

from __future__ import annotations

from starlette.types import Scope


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Every value of the header with this lower-case name, in order."""
    return [value.decode("latin-1") for found, value in scope["headers"] if found == name]


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of the header with this lower-case name."""
    for found, value in scope["headers"]:
        if found == name:
            return value.decode("latin-1")
    return None
