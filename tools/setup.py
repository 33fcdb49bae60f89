"""Everything that a stack needs on this machine before Pulumi can work on it: `python -m tools.setup STACK [--dev]`."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from tools import encryption_salt, local_state, policy_pack, pulumi_cli, virtualenv
from tools.checkout import here
from tools.checkpoint import state_file
from tools.failure import SetupError, exit_status
from tools.file_lock import exclusive
from tools.progress import step
from tools.pulumi_run import Stack
from tools.stack_target import DEFAULT_TARGET, stack_target


def set_up(stack_name: str, *, dev: bool = False) -> Stack:
    """Leaves the stack ready for `pulumi up`. Quick when nothing changed. Raises SetupError with what to do.

    `dev` installs what the tests need instead of what the stack's target needs; the former includes the latter.
    """
    checkout = here()
    target = stack_target(checkout, stack_name)
    if target == "local" and "/" in stack_name:
        raise SetupError(f"STACK={stack_name}: a stack on this machine has a plain name, for example local")
    try:
        checkout.local.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"{checkout.local} cannot be made ({error.strerror}): the checkout must be writable"
        ) from error
    with step("Set-up") as current, exclusive(checkout.local / "set-up.lock", current):
        virtualenv.ensure(checkout, "dev" if dev else target)
        pulumi_bin = pulumi_cli.ensure(checkout, os.environ)
        if target == "local":
            local_state.ensure(checkout)
            encryption_salt.set_filter(checkout)
        current.done(f"the stack {stack_name} (target {target}) is ready for Pulumi")
    return Stack(checkout, stack_name, target, pulumi_bin)


def with_policy(stack: Stack) -> Stack:
    """The stack, held against the policy pack in every preview and update from here on. Raises SetupError."""
    return replace(stack, pack=policy_pack.prepare(stack.checkout, stack.pulumi_bin))


def ensure_exists(stack: Stack) -> None:
    """Makes the stack in this machine's backend if it is not there. A cloud stack is the user's to make."""
    if not stack.local or state_file(stack.checkout, stack.name).is_file():
        return
    with step(f"Stack {stack.name}") as current:
        stack.watch("stack", "init", "--no-select")
        current.done("made")


def main(arguments: list[str]) -> None:
    """Sets one stack up and stops there."""
    names = [argument for argument in arguments if not argument.startswith("--")]
    set_up(names[0] if names else DEFAULT_TARGET, dev="--dev" in arguments)


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
