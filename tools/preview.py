"""What `pulumi up` would change, without changing it: `python -m tools.preview STACK`."""

from __future__ import annotations

import sys

from tools import encryption_salt
from tools.failure import exit_status
from tools.setup import ensure_exists, set_up
from tools.stack_target import DEFAULT_TARGET


def main(arguments: list[str]) -> None:
    """Previews one stack."""
    stack = set_up(arguments[0] if arguments else DEFAULT_TARGET)
    ensure_exists(stack)
    try:
        stack.run("preview", "--diff")
    finally:
        if stack.local:
            encryption_salt.tell_git(stack.checkout, stack.checkout.stack_file(stack.name))


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
