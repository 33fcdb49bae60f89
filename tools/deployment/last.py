"""The commit that was deployed last: `python -m tools.deployment.last ELSE` prints it, or ELSE if none was."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from tools.failure import SetupError, exit_status
from tools.github_api import GitHubApi

_WORKFLOW = "deploy.yml"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def main(arguments: list[str]) -> None:
    """By the newest run of the workflow on main that succeeded. Raises SetupError where GitHub does not tell."""
    if len(arguments) != 1 or not _COMMIT.fullmatch(arguments[0]):
        raise SetupError("give the commit to compare with where nothing was deployed yet, in full")
    path = f"actions/workflows/{_WORKFLOW}/runs?branch=main&event=push&status=success&per_page=1"
    print(last_commit(GitHubApi.of(os.environ).call("GET", path)) or arguments[0])


def last_commit(runs: dict[str, Any]) -> str | None:
    """The commit of the first run in GitHub's answer; None where it has none. Raises SetupError for what is none."""
    rows = runs.get("workflow_runs") or []
    if not rows:
        return None
    commit = str(rows[0].get("head_sha"))
    if not _COMMIT.fullmatch(commit):
        raise SetupError(f"GitHub names {commit!r} as the commit of the last deployment")
    return commit


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
