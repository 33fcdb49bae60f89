"""From whatever state a checkout is in to a service that speaks: `python -m tools.up STACK`."""

from __future__ import annotations

import sys

from tools import encryption_salt
from tools.change_summary import nothing_changed
from tools.checkpoint import checkpoint
from tools.failure import exit_status
from tools.first_words import speak
from tools.progress import step
from tools.pulumi_run import Stack
from tools.setup import ensure_exists, set_up, with_policy
from tools.stack_lock import clear_stale
from tools.stack_target import DEFAULT_TARGET


def main(arguments: list[str]) -> None:
    """Sets up, deploys, and on this machine speaks."""
    stack = set_up(arguments[0] if arguments else DEFAULT_TARGET)
    if not stack.local:
        # The user's own login and decision: Pulumi asks before it changes a cloud, where someone can answer.
        with_policy(stack).run("up", *([] if sys.stdin.isatty() else ["--yes", "--non-interactive"]))
        return
    mend_and_update(stack)
    speak(stack)


def mend_and_update(stack: Stack) -> None:
    """Brings a stack on this machine to what its settings say, whatever an earlier run left behind."""
    clear_stale(stack.checkout, stack.name)
    ensure_exists(stack)
    try:
        _forget_pending_creates(stack)
        print(f"==> pulumi up ({stack.name})", flush=True)
        # --refresh: services that died or were edited by hand are noticed and mended.
        lines = stack.watch("up", "--yes", "--refresh", "--suppress-progress")
    finally:
        encryption_salt.tell_git(stack.checkout, stack.checkout.stack_file(stack.name))
    print("==> pulumi up: nothing changed" if nothing_changed(lines) else "==> pulumi up: done", flush=True)


def _forget_pending_creates(stack: Stack) -> None:
    """Drops the creations that a killed `up` began, so that they are made again.

    `up` itself keeps them in the state for ever, with a warning. Every resource on this machine takes what is already
    there when it is created again.
    """
    state = checkpoint(stack.checkout, stack.name)
    if state is None or not state.pending_creates:
        return
    with step("Interrupted update") as current:
        current.say(f"{len(state.pending_creates)} resources were being created when the last update was cut short")
        stack.watch("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
        current.done("they will be created again")


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
