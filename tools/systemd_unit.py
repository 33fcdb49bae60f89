"""Prints the systemd unit of a stack on this machine, and changes nothing: `python -m tools.systemd_unit STACK`."""

from __future__ import annotations

import pwd
import sys
from pathlib import Path

from components.local.machine import systemd_unit
from components.local.machine.layout import Layout
from components.local.machine.systemd_unit import Unit
from tools.checkout import here
from tools.environment import recorded_pulumi_bin
from tools.failure import SetupError, exit_status
from tools.pulumi_run import Stack
from tools.stack_target import DEFAULT_TARGET, stack_target


def main(arguments: list[str]) -> None:
    """The unit of a stack that is up. Raises SetupError for one that cannot have one."""
    checkout = here()
    name = arguments[0] if arguments else DEFAULT_TARGET
    stack = Stack(checkout, name, stack_target(checkout, name), recorded_pulumi_bin(checkout))
    if not stack.local:
        raise SetupError(f"the stack {name} is not on this machine (target {stack.target})")
    print(systemd_unit.text(unit_of(name, stack.outputs())), end="")


def unit_of(stack: str, outputs: dict[str, object]) -> Unit:
    """What the unit says, from the stack's outputs and who owns its directory. Raises SetupError."""
    fleet, image = outputs.get("fleet"), outputs.get("image")
    if not isinstance(fleet, str) or not isinstance(image, str):
        raise SetupError(f"the stack {stack} is not up: run `make up STACK={stack}` first, as the user that it runs as")
    layout = Layout(Path(fleet).parent.parent)
    owner = layout.data.stat().st_uid
    if owner == 0:
        raise SetupError(
            f"{layout.data} belongs to root, and a speech service needs no rights of root's: make a user for it and "
            'deploy the stack as that user (docs/local.md, "With the machine")'
        )
    return Unit(stack, pwd.getpwuid(owner).pw_name, layout, gpus=image.startswith("indextts2@"))


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
