"""Prints the API key of a stack on this machine, and nothing else: `python -m tools.key STACK`."""

from __future__ import annotations

import sys

from tools.checkout import here
from tools.environment import recorded_pulumi_bin
from tools.failure import SetupError, exit_status
from tools.pulumi_run import Stack
from tools.stack_target import DEFAULT_TARGET, stack_target


def main(arguments: list[str]) -> None:
    """The stack's output `apiKey`. Raises SetupError when there is none."""
    checkout = here()
    name = arguments[0] if arguments else DEFAULT_TARGET
    stack = Stack(checkout, name, stack_target(checkout, name), recorded_pulumi_bin(checkout))
    key = stack.outputs().get("apiKey")
    if not isinstance(key, str):
        raise SetupError(f"the stack {name} has no output apiKey: is it up? `make up` starts it")
    print(key)


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
