"""The plan of one stack: `python -m tools.plan.preview STACK [FILE]` writes it as Markdown and says if it holds."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from components.prices.rendering import comparison
from tools.failure import SetupError, exit_status
from tools.plan.events import Plan, read_plan
from tools.plan.markdown import render
from tools.pulumi_run import Stack
from tools.setup import ensure_exists, set_up, with_policy
from tools.stack_target import DEFAULT_TARGET


def main(arguments: list[str]) -> int:
    """Writes the plan to FILE, else to standard output; status 1 when it fails. It is written then, too."""
    name = arguments[0] if arguments else DEFAULT_TARGET
    file = Path(arguments[1]) if len(arguments) > 1 else None
    try:
        stack = with_policy(set_up(name))
        ensure_exists(stack)
        plan = preview(stack)
    except SetupError as error:
        plan = Plan(name, errors=(str(error),))
    text = render(plan, os.environ.get("PLAN_COMMIT", ""), price_of(plan))
    if file is None:
        print(text)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    if plan.failed:
        for line in [*plan.errors, *(f"{one.rule}: {one.text}" for one in plan.violations)]:
            print(f"error: {line}", file=sys.stderr)
    return 1 if plan.failed else 0


def preview(stack: Stack) -> Plan:
    """What the engine finds in a preview. It changes nothing."""
    # Events, line by line: the document that `--json` gives without this has neither broken rules nor outputs.
    done = stack.ask("preview", "--json", environment={"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"})
    return judged(read_plan(stack.name, done.stdout.splitlines()), done.returncode, done.stderr)


def judged(plan: Plan, status: int, said: str) -> Plan:
    """The plan, failed when the command failed without a word of it among the events, or no rule was asked."""
    said = said.strip()
    errors = list(plan.errors)
    if status and not (errors or plan.violations):
        errors.append(said or f"pulumi preview ended with status {status}")
    elif not plan.checked and not errors:
        errors.append("the policy pack was not asked")
    if errors == list(plan.errors):
        return plan
    return replace(plan, errors=tuple(errors))


def price_of(plan: Plan) -> str:
    """Markdown of what the stack costs before and after; "" where the plan does not say."""
    return comparison(plan.outputs_before.get("price"), plan.outputs_after.get("price"))


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
