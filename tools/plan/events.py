"""What the engine said in a preview, as plain data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.plan.differences import Difference, differences

# The engine's steps, by what they mean to whoever approves them. A replacement has three; one of them counts.
_MEANING = {
    "replace": "replace",
    "delete": "delete",
    "update": "update",
    "create": "create",
    "import": "import",
    "import-replacement": "replace",
    "discard": "delete",
    "discard-replaced": "delete",
}
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# Nothing that an approver can do anything about.
_NOISE = ("using pulumi-resource-", "using pulumi-analyzer-", "resource plugin ")


@dataclass(frozen=True)
class Change:
    """One resource. `because` are the properties that force a replacement."""

    operation: str
    type: str
    name: str
    values: tuple[Difference, ...] = ()
    because: tuple[str, ...] = ()


@dataclass(frozen=True)
class Violation:
    """A broken rule. `mandatory`: it stops the update."""

    rule: str
    text: str
    mandatory: bool


@dataclass(frozen=True)
class Plan:
    """What a preview found. `complete` is False for one that ended before the engine summed it up."""

    stack: str
    changes: tuple[Change, ...] = ()
    unchanged: int = 0
    violations: tuple[Violation, ...] = ()
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    outputs_before: Mapping[str, Any] = field(default_factory=dict)
    outputs_after: Mapping[str, Any] = field(default_factory=dict)
    checked: bool = False
    """Whether a policy pack looked at it."""
    complete: bool = False

    @property
    def failed(self) -> bool:
        return bool(self.errors) or not self.complete or any(one.mandatory for one in self.violations)

    def of(self, *operations: str) -> list[Change]:
        return [change for change in self.changes if change.operation in operations]


def read_plan(stack: str, lines: Iterable[str]) -> Plan:
    """The plan in the lines that `pulumi preview --json` streams; a line that is no event is passed over."""
    changes: dict[tuple[str, str], Change] = {}
    violations: list[Violation] = []
    texts: dict[str, list[str]] = {"error": [], "warning": []}
    before: Mapping[str, Any] = {}
    after: Mapping[str, Any] = {}
    unchanged, checked, complete = 0, False, False
    for event in _events(lines):
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            if metadata["type"] == "pulumi:pulumi:Stack":
                before = (metadata.get("old") or {}).get("outputs") or {}
            elif metadata["op"] in _MEANING:
                changes[metadata["urn"], _MEANING[metadata["op"]]] = _change(metadata)
        elif "resOutputsEvent" in event:
            metadata = event["resOutputsEvent"]["metadata"]
            if metadata["type"] == "pulumi:pulumi:Stack":
                after = (metadata.get("new") or {}).get("outputs") or after
        elif "policyEvent" in event:
            violations.append(_violation(event["policyEvent"]))
        elif "diagnosticEvent" in event:
            _note(texts, event["diagnosticEvent"])
        elif "policyLoadEvent" in event:
            checked = True
        elif "summaryEvent" in event:
            unchanged = event["summaryEvent"].get("resourceChanges", {}).get("same", 0)
            complete = event["summaryEvent"].get("result", "succeeded") == "succeeded" or bool(violations)
    return Plan(
        stack,
        tuple(changes.values()),
        unchanged,
        tuple(dict.fromkeys(violations)),
        tuple(texts["error"]),
        tuple(texts["warning"]),
        before,
        after,
        checked,
        complete,
    )


def _events(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _change(metadata: Mapping[str, Any]) -> Change:
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    operation = _MEANING[metadata["op"]]
    because = tuple(metadata.get("keys") or ())
    properties = metadata.get("diffs") or because or [*(metadata.get("detailedDiff") or ())]
    return Change(
        operation,
        metadata["type"],
        metadata["urn"].split("::", 3)[-1],
        tuple(differences(old.get("inputs") or {}, new.get("inputs") or {}, properties))
        if operation in ("update", "replace")
        else (),
        because,
    )


def _violation(event: Mapping[str, Any]) -> Violation:
    # The rule's description comes first, then what it found.
    text = _plain(event["message"]).splitlines()
    return Violation(event["policyName"], text[-1] if text else "", event["enforcementLevel"] == "mandatory")


def _note(texts: Mapping[str, list[str]], event: Mapping[str, Any]) -> None:
    text = _plain(event["message"])
    kept = texts.get(event["severity"])
    # A broken rule is told of on its own; that the preview failed for it is no news.
    if kept is None or not text or text.startswith(_NOISE) or text == "preview failed":
        return
    if text not in kept:
        kept.append(text)


def _plain(text: str) -> str:
    return _COLOR.sub("", text).strip()
