"""Settings of an AWS stack, and one part of it registered without an engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from components.settings import AwsSettings, load
from tests.unit.registered import register

__all__ = ["KEY", "LEAST", "as_config", "aws_settings", "register"]

KEY = "k" * 40
# The smallest stack that is one: the others' defaults, nothing to look up, no domain.
LEAST: Mapping[str, Any] = {
    "target": "aws",
    "apiKeys": {"studio": KEY},
    "access": {"allowedCidrs": ["203.0.113.0/24"]},
    "zones": ["us-west-2a", "us-west-2b"],
    "ami": "ami-0123456789abcdef0",
    "checks": False,
}


def as_config(**values: Any) -> dict[str, str]:
    """`LEAST` with `values`, as the CLI passes it."""
    return {
        f"indextts2:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in {**LEAST, **values}.items()
    }


def aws_settings(**values: Any) -> AwsSettings:
    """The settings of `LEAST` with `values`."""
    found = load("test", as_config(**values), is_secret=lambda _key: True)
    assert isinstance(found, AwsSettings)
    return found
