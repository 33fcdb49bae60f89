"""What the stand-in has to know of a vendor's resources, as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.sdk_schema import Schema

GLOBAL = "global"
"""Where the resources live that have no region."""
NEVER = re.compile(r"(?!)")


def no_problems(_schema: Schema, _inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    return []


@dataclass(frozen=True)
class Vendor:
    """One SDK package's resources; a token is a type such as `aws:sqs/queue:Queue`."""

    replacing: Mapping[str, frozenset[str]]
    """Per token the properties whose change replaces the resource. A type that is not listed is refused at its first
    change: the stand-in does not guess."""
    regional: Callable[[Schema], bool]
    """Whether such a resource lives in a region."""
    unique: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What must be unique together. Other resources with a `name`: the name, within type and region."""
    unique_everywhere: tuple[str, ...] = ()
    """Prefixes of tokens whose names are unique whatever the region."""
    auto_named: Mapping[str, str | None] = field(default_factory=dict)
    """The property that the provider makes a name for, where it is not `name`; None: it makes none."""
    longest: Mapping[str, int] = field(default_factory=dict)
    """The longest name that a type may have, where the provider makes it up."""
    held: tuple[str, ...] = ()
    """Prefixes of tokens: such a resource cannot be deleted while another names it; most others can."""
    guarded: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Deleting these is refused while a property, as the stack last set it, says so: (path to it, reason)."""
    moving: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Outputs that move with every update, although the program sets none of them."""
    reference: re.Pattern[str] = NEVER
    """A text that names a resource of the account, which must live in the same region."""
    handles: tuple[str, ...] = ()
    """Outputs by which another resource may name one, beside its id."""
    by_name: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Per token, properties that name another resource by its name: property -> that one's token."""
    read_back: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Per token, what the provider reads of a property that the program leaves out, and would take away again at the
    next update: property -> value."""
    problems: Callable[[Schema, Mapping[str, Any]], list[tuple[str, str]]] = no_problems
    """What the provider itself checks of the inputs, beside the SDK's metadata: (property, text)."""
