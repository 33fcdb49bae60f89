"""Holds a stack against the policy pack, without changing it: `python -m tools.policy STACK`."""

from __future__ import annotations

import sys

from tools import encryption_salt
from tools.failure import exit_status
from tools.setup import ensure_exists, set_up, with_policy
from tools.stack_target import DEFAULT_TARGET


def main(arguments: list[str]) -> None:
    """A preview with the pack. Raises SetupError when a rule is broken, and when the rules could not be asked."""
    stack = with_policy(set_up(arguments[0] if arguments else DEFAULT_TARGET))
    ensure_exists(stack)
    try:
        stack.run("preview")
    finally:
        if stack.local:
            encryption_salt.tell_git(stack.checkout, stack.checkout.stack_file(stack.name))


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
