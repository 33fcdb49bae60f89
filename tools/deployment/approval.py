"""Whether somebody must approve before a production stack is deployed: `python -m tools.deployment.approval STACK`.

GitHub makes an environment that a workflow names and nobody has set up, without any protection. This fails then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from tools.failure import SetupError, exit_status
from tools.github_api import GitHubApi
from tools.production import is_production
from tools.stack_target import STACK


def main(arguments: list[str]) -> None:
    """Raises SetupError where a production stack's environment asks nobody."""
    if len(arguments) != 1 or not STACK.fullmatch(arguments[0]) or "/" in arguments[0]:
        raise SetupError("give the stack that is to be deployed")
    (name,) = arguments
    if not is_production(name):
        print(f"{name} is no production stack: nobody needs to approve")
        return
    problem = missing_approval(GitHubApi.of(os.environ).call("GET", f"environments/{name}"))
    if problem:
        raise SetupError(
            f"the environment {name!r} {problem}; set it up under Settings, Environments, before anything is deployed"
        )
    print(f"{name}: its environment asks for approval")


def missing_approval(environment: Mapping[str, Any]) -> str | None:
    """What is missing: reviewers, or the restriction to branches; None where both are there.

    https://docs.github.com/en/rest/deployments/environments#get-an-environment
    """
    rules = environment.get("protection_rules") or []
    if not any(rule.get("type") == "required_reviewers" and rule.get("reviewers") for rule in rules):
        return "has no required reviewers"
    if not environment.get("deployment_branch_policy"):
        return "may be deployed to from any branch"
    return None


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
