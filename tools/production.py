"""Which stacks are production: the same rule as the policy pack's, policy/rules/rule.py."""

from __future__ import annotations

import re


def is_production(stack: str) -> bool:
    """Whether a stack's name has the word `prod` or `production`: prod, prod-cn, eu_prod."""
    return bool({"prod", "production"} & set(re.split(r"[^a-z0-9]+", stack.lower())))
