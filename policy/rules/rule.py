"""The form of a rule and of what it looks at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


class Unknown:
    """A value that a preview does not know yet. It equals nothing and is false: no rule finds fault with it."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Resource:
    """A resource's inputs, and for each property the URNs of the resources that its value comes from."""

    type: str
    name: str
    urn: str
    properties: Mapping[str, Any]
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """A property's value; None when it is not set."""
        return self.properties.get(name)

    def items(self, name: str) -> list[Any]:
        """The entries of a list whose value is known, as far as they are."""
        value = self.get(name)
        return [entry for entry in value if entry is not UNKNOWN] if isinstance(value, list) else []


@dataclass(frozen=True)
class Stack:
    """Everything that the stack would be made of."""

    name: str
    resources: tuple[Resource, ...]

    def of_type(self, *types: str) -> Iterator[Resource]:
        return (resource for resource in self.resources if resource.type in types)


@dataclass(frozen=True)
class ResourceRule:
    """`check(resource, stack's name)` gives what is wrong with it."""

    name: str
    description: str
    check: Callable[[Resource, str], Iterable[str]]


@dataclass(frozen=True)
class StackRule:
    """`check(stack)` gives what is wrong, with the resource that it is about, None for what is missing."""

    name: str
    description: str
    check: Callable[[Stack], Iterable[tuple[Resource | None, str]]]


def is_production(stack: str) -> bool:
    """Whether a stack's name has the word `prod` or `production`: prod, prod-cn, eu_prod.

    The name decides and no setting, so that a change of settings cannot take a stack out of the rules.
    """
    return bool({"prod", "production"} & set(re.split(r"[^a-z0-9]+", stack.lower())))
