"""The stacks that a change can touch: `python -m tools.plan.touched BASE` prints them as JSON for a job's matrix."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.checkout import Checkout, here
from tools.failure import SetupError, exit_status
from tools.stack_target import STACK, stack_target

_STACK_FILE = re.compile(r"Pulumi\.(?P<name>.+)\.yaml")
# What is in no stack: a change of it alone deploys nothing.
_NOT_DEPLOYED = ("docs/", "tests/", "examples/", ".github/", ".ci/", "deploy/", "tools/bench/")
_NOT_DEPLOYED_ENDS = (".md", "LICENSE", ".gitignore", ".gitattributes")


def main(arguments: list[str]) -> None:
    """Prints `[{"name": ..., "target": ...}]`; in a workflow also as its outputs `local` and `cloud`."""
    if len(arguments) != 1:
        raise SetupError("give the commit that the change is compared with, say origin/main")
    checkout = here()
    found = touched(changed_files(checkout, arguments[0]), stacks(checkout))
    rows = [{"name": name, "target": target} for name, target in found.items()]
    print(json.dumps(rows))
    output = os.environ.get("GITHUB_OUTPUT")
    if output:
        with Path(output).open("a", encoding="utf-8") as file:
            for name, wanted in (("local", True), ("cloud", False)):
                chosen = [row for row in rows if (row["target"] == "local") is wanted]
                file.write(f"{name}={json.dumps(chosen)}\n")


def stacks(checkout: Checkout) -> dict[str, str]:
    """Name -> target of every stack that has a file in the checkout. Raises SetupError for a name no stack can have."""
    names = []
    for file in sorted(checkout.root.glob("Pulumi.*.yaml")):
        match = _STACK_FILE.fullmatch(file.name)
        if match is None or not STACK.fullmatch(match["name"]):
            raise SetupError(f"{file.name!r}: no stack can have this name; rename the file")
        names.append(match["name"])
    return {name: stack_target(checkout, name) for name in names}


def touched(files: Iterable[str], stacks: Mapping[str, str]) -> dict[str, str]:
    """Those of `stacks` (name -> target) that a change of `files` can touch.

    A stack's own file touches it, a target's own folder and requirements the stacks of that target, what is only read
    or tested none, and everything else all: a file that is not known here is taken for part of the program.
    """
    found: dict[str, str] = {}
    for file in files:
        found |= {name: target for name, target in stacks.items() if _touches(file, name, target, set(stacks.values()))}
    return {name: target for name, target in stacks.items() if name in found}


def changed_files(checkout: Checkout, base: str) -> list[str]:
    """Paths that differ between where this branch left `base` and now. Raises SetupError."""
    if base.startswith("-"):
        raise SetupError(f"{base!r} is no commit")
    command = ["git", "diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD", "--"]
    done = subprocess.run(command, cwd=checkout.root, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise SetupError(
            f"git cannot compare with {base!r}: {said}. In a workflow, check out with fetch-depth: 0, so that the "
            "commit is there"
        )
    return [name for name in done.stdout.decode(errors="replace").split("\0") if name]


def _touches(file: str, stack: str, target: str, targets: set[str]) -> bool:
    match = _STACK_FILE.fullmatch(file)
    if match:
        return match["name"] == stack
    if file.startswith(_NOT_DEPLOYED) or file.endswith(_NOT_DEPLOYED_ENDS) or file.startswith("requirements-dev."):
        return False
    for other in targets - {target}:
        if file.startswith((f"components/{other}/", f"components/settings/{other}", f"requirements-{other}.")):
            return False
    return True


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
