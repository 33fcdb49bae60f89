"""Which values of a resource change, as the few words that fit a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What stands for a value that is known only after the update, by its kind:
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go
_UNKNOWN = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
# The mark of a secret in the engine's own form of a value.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_LONGEST = 60
_ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """`path` is the property's, `before` and `after` are ready to be shown and hold no secret."""

    path: str
    before: str
    after: str


def differences(old: Mapping[str, Any], new: Mapping[str, Any], properties: Sequence[str]) -> list[Difference]:
    """The values below `properties` (top-level names) that differ between two states' inputs."""
    found: list[Difference] = []
    for name in properties:
        top = name.partition(".")[0].partition("[")[0]
        if any(one.path.partition(".")[0].partition("[")[0] == top for one in found):
            continue
        leaves = list(_leaves(top, old.get(top, _ABSENT), new.get(top, _ABSENT)))
        # Equal inputs: what differs is what the cloud has.
        found += leaves or [Difference(top, "changed outside", "as set")]
    return found


def _leaves(path: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict) and _SIGNATURE not in old and _SIGNATURE not in new:
        for key in sorted({*old, *new}):
            if not key.startswith("__"):
                yield from _leaves(f"{path}.{key}", old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(f"{path}[{index}]", one, other)
    elif _is_secret(old) or _is_secret(new):
        yield Difference(
            path, "a secret" if old is not _ABSENT else "none", "a secret" if new is not _ABSENT else "none"
        )
    elif old != new:
        yield Difference(path, _shown(old), _shown(new))


def _is_secret(value: Any) -> bool:
    return value == "[secret]" or (isinstance(value, dict) and _SIGNATURE in value)


def _shown(value: Any) -> str:
    if value is _ABSENT or value is None:
        return "none"
    if isinstance(value, str):
        if value in _UNKNOWN:
            return "known after the update"
        return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 20]}... ({len(value)} characters)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict):
        return f"{len(value)} entries"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return str(value)
