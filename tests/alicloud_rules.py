"""What the Alibaba Cloud provider itself holds against a resource's inputs, which the SDK's metadata does not say.

`alicloud_rules.json` holds, per type and property, what the resources' schemas in terraform-provider-alicloud 1.285
say (which pulumi-alicloud 4.0.0 wraps): whether a change replaces the resource (`ForceNew`), and the values that
`ValidateFunc`, `ConflictsWith` and `MaxItems` allow. A deprecated property is refused: the program is new.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.sdk_schema import Schema, Unknown

RULES: Mapping[str, Mapping[str, Any]] = json.loads(
    Path(__file__).with_name("alicloud_rules.json").read_text(encoding="utf-8")
)


def replacing(token: str) -> frozenset[str]:
    """The properties whose change replaces a resource of this type. Raises KeyError for a type that is not listed."""
    return frozenset(name for name, rule in RULES[token].items() if rule.get("replaces"))


def rule_problems(schema: Schema, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the provider's own checks hold against these inputs: pairs of a top-level property's name and a text.

    Of a provider nothing is known.
    """
    if schema.token.startswith("pulumi:providers:"):
        return []
    rules = RULES.get(schema.token)
    if rules is None:
        return [("", f"tests/alicloud_rules.json says nothing of {schema.token}; add the provider's rules of it")]
    return [
        (path.partition(".")[0].partition("[")[0], f"{schema.token}: {text}")
        for path, text in _object_problems(rules, values, "")
    ]


def _object_problems(rules: Mapping[str, Any], values: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    problems: list[tuple[str, str]] = []
    for name, value in values.items():
        rule = rules.get(name)
        if rule is None or value is None or isinstance(value, Unknown):
            continue
        at = f"{path}{name}"
        if rule.get("deprecated"):
            problems.append((at, f"{at} is deprecated"))
        together = [other for other in rule.get("conflicts", ()) if values.get(other) is not None]
        problems += [(at, f"{at} cannot stand beside {path}{other}") for other in together]
        if "most" in rule and isinstance(value, Sequence) and len(value) > rule["most"]:
            problems.append((at, f"{at} has {len(value)} items; {rule['most']} is the most"))
        for place, item in _items(value, at):
            if "within" in rule and isinstance(item, Mapping):
                problems += _object_problems(rule["within"], item, f"{place}.")
            elif text := _wrong(rule, item):
                problems.append((at, f"{place} {text}"))
    return problems


def _items(value: Any, at: str) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [(f"{at}[{number}]", item) for number, item in enumerate(value)]
    return [(at, value)]


def _wrong(rule: Mapping[str, Any], value: Any) -> str | None:
    """Not the value of a text: it may be a secret."""
    if isinstance(value, Unknown):
        return None
    if "oneOf" in rule and value not in rule["oneOf"]:
        return f"is none of {rule['oneOf']}"
    if "between" in rule and isinstance(value, (int, float)):
        low, high = rule["between"]
        if not low <= value <= high:
            return f"is {value:g} and not between {low} and {high}"
    if not isinstance(value, str):
        return None
    if "length" in rule and not rule["length"][0] <= len(value) <= rule["length"][1]:
        return f"has {len(value)} characters and not {rule['length'][0]} to {rule['length'][1]}"
    if "match" in rule and not re.search(rule["match"], value):
        return f"does not match {rule['match']}"
    if rule.get("json"):
        try:
            json.loads(value)
        except ValueError:
            return "is no JSON"
    return None
