"""Stops a stack and removes what it made: `python -m tools.down STACK`."""

from __future__ import annotations

import sys

from tools import encryption_salt
from tools.checkout import here
from tools.checkpoint import checkpoint
from tools.failure import SetupError, exit_status
from tools.setup import set_up
from tools.stack_lock import clear_stale
from tools.stack_target import DEFAULT_TARGET, stack_target
from tools.up import mend_and_update


def main(arguments: list[str]) -> None:
    """Destroys the stack's resources; its settings and state stay."""
    name = arguments[0] if arguments else DEFAULT_TARGET
    checkout = here()
    if stack_target(checkout, name) != "local":
        set_up(name).run("destroy", *([] if sys.stdin.isatty() else ["--yes", "--non-interactive"]))
        return
    state = checkpoint(checkout, name)
    if state is None or not (state.resources or state.pending_creates):
        print(f"nothing to do: the stack {name} is not up")
        return
    stack = set_up(name)
    clear_stale(checkout, name)
    if state.pending_creates:
        # Pulumi does not know yet what these became, so it could not remove them: finish first.
        try:
            mend_and_update(stack)
        except SetupError as error:
            print(f"the interrupted update could not be finished ({error}); removing what is known", file=sys.stderr)
    try:
        print(f"==> pulumi destroy ({name})", flush=True)
        stack.watch("destroy", "--yes", "--skip-preview", "--suppress-progress")
    finally:
        encryption_salt.tell_git(checkout, checkout.stack_file(name))
    print(
        f"==> the stack {name} is down. Kept: its settings ({checkout.stack_file(name).name}), its state and "
        f"passphrase (.local/), and its data directory if that holds objects. `make up` starts it again."
    )


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
