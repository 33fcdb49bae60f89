"""Reading a cloud's policy documents, IAM's and RAM's: the same JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rules.rule import UNKNOWN


class UnreadableError(Exception):
    """The text is no policy document; the message says why."""


@dataclass(frozen=True)
class Allowed:
    """One statement that allows something. `actions` is None for `NotAction`: everything but some."""

    actions: tuple[str, ...] | None
    resources: tuple[str, ...]
    """Empty in a policy that is attached to a resource and names none."""
    everyone: bool
    """Whether the principal is anybody."""
    condition: dict[str, Any]


def allowed(document: Any) -> Iterator[Allowed]:
    """The statements that allow something. An unknown document has none. Raises UnreadableError."""
    if document is None or document is UNKNOWN:
        return
    try:
        statements = (json.loads(document) if isinstance(document, str) else document)["Statement"]
        for statement in [statements] if isinstance(statements, dict) else statements:
            if statement["Effect"] != "Deny":
                yield _allowed(statement)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(f"is no policy document that can be checked ({type(error).__name__}: {error})") from error


def _allowed(statement: dict[str, Any]) -> Allowed:
    resources = ("*",) if "NotResource" in statement else _texts(statement.get("Resource", ()))
    everyone = "NotPrincipal" in statement or any(
        principal == "*" for principal in _principals(statement.get("Principal"))
    )
    return Allowed(
        None if "NotAction" in statement else _texts(statement["Action"]),
        resources,
        everyone,
        statement.get("Condition") or {},
    )


def _principals(value: Any) -> Iterator[str]:
    """ "*", or by kind: {"AWS": [...]}; RAM's own form is a plain list."""
    if isinstance(value, dict):
        for names in value.values():
            yield from _texts(names)
    elif value is not None:
        yield from _texts(value)


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    texts = tuple(value)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a list holds something other than text")
    return texts
