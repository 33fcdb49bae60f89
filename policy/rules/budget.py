"""Money: a production stack has a budget that tells somebody."""

from __future__ import annotations

from collections.abc import Iterator

from rules.gpus import AWS_FLEETS
from rules.rule import UNKNOWN, Resource, Stack, StackRule, is_production

_BUDGET = "aws:budgets/budget:Budget"


def no_budget(stack: Stack) -> Iterator[tuple[Resource | None, str]]:
    """Production nodes on AWS without a budget, or with one that tells nobody.

    Alibaba Cloud's provider can make no budget, so nothing is asked of a stack there.
    """
    if not is_production(stack.name) or not any(stack.of_type(*AWS_FLEETS)):
        return
    budgets = list(stack.of_type(_BUDGET))
    if not budgets:
        yield None, "a production stack has no budget; set indextts2:alarms.monthlyBudgetUsd and alarms.email"
    for budget in budgets:
        if budget.get("notifications") is not UNKNOWN and not any(
            entry.get("subscriberEmailAddresses") or entry.get("subscriberSnsTopicArns")
            for entry in budget.items("notifications")
        ):
            yield budget, "the budget tells nobody; set indextts2:alarms.email"


NO_BUDGET = StackRule("no-budget", "A production stack has a budget that tells somebody.", no_budget)
