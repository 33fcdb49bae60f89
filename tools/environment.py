"""The environment in which Pulumi works on a stack, for the tools here and for a person's shell.

As a program it prints shell code for tools/activate: `python -m tools.environment STACK`.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.checkout import Checkout, here
from tools.failure import SetupError, exit_status
from tools.stack_target import DEFAULT_TARGET, stack_target
from tools.state.record import place_of

Changes = dict[str, str | None]


def changes(checkout: Checkout, stack: str, target: str, pulumi_bin: Path, environment: Mapping[str, str]) -> Changes:
    """Variable -> its value, None for one that is taken away.

    A stack on this machine gets a backend, a home and a passphrase of its own, and loses whatever would lead Pulumi to
    the user's. A cloud stack keeps the user's own login, and has the backend that state.json names for everybody.
    """
    first = [str(checkout.venv / "bin"), str(pulumi_bin)]
    others = [part for part in environment.get("PATH", os.defpath).split(os.pathsep) if part and part not in first]
    result: Changes = {
        # .venv first: an older language host does not know Pulumi.yaml's `virtualenv`
        "PATH": os.pathsep.join([*first, *others]),
        "VIRTUAL_ENV": str(checkout.venv),
        "PYTHONHOME": None,
        "PULUMI_STACK": stack,
        "PULUMI_PYTHON_CMD": None,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    if target == "local":
        result |= {
            "PULUMI_HOME": str(checkout.pulumi_home),
            "PULUMI_BACKEND_URL": checkout.state.as_uri(),  # quoted: the CLI reads it as a URL
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(checkout.passphrase),
            "PULUMI_CONFIG_PASSPHRASE": None,
            "PULUMI_ACCESS_TOKEN": None,
            "PULUMI_CREDENTIALS_PATH": None,
            # The tools here read the state file, so it stays where it is and plain.
            "PULUMI_DIY_BACKEND_GZIP": None,
            "PULUMI_DIY_BACKEND_ZSTD": None,
            "PULUMI_DIY_BACKEND_LEGACY_LAYOUT": None,
            # No plugin is needed beyond the CLI's own; without this it would download one per SDK that is installed.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # The salt of the passphrase is then read from the state when the stack's file has none.
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        }
    elif place := place_of(checkout.root, stack):
        # Whatever the shell says: a state that is written elsewhere would be a second truth.
        result["PULUMI_BACKEND_URL"] = place.backend
    return result


def applied(wanted: Changes, environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with the changes made."""
    kept = {name: value for name, value in environment.items() if name not in wanted}
    return kept | {name: value for name, value in wanted.items() if value is not None}


def shell_code(wanted: Changes, environment: Mapping[str, str]) -> str:
    """Code for any POSIX shell that makes the changes, and defines `indextts2_deactivate`, which takes them back."""
    before = {name: environment.get(name) for name in wanted}
    return f"""indextts2_deactivate() {{
{_assignments(before)}
    unset -f indextts2_deactivate
    hash -r 2>/dev/null || true
}}
{_assignments(wanted)}
hash -r 2>/dev/null || true
"""


def recorded_pulumi_bin(checkout: Checkout) -> Path:
    """The CLI's directory as set-up recorded it. Raises SetupError when set-up has not run."""
    try:
        directory = Path(checkout.pulumi_bin_record.read_text(encoding="utf-8").strip())
    except OSError:
        directory = None
    if directory is None or not (directory / "pulumi").exists() or not (checkout.venv / "bin" / "python").exists():
        raise SetupError(f"this checkout is not set up yet: run `make setup` or `make up` in {checkout.root}")
    return directory


def main(arguments: list[str]) -> None:
    """Prints the shell code for one stack."""
    checkout = here()
    stack = arguments[0] if arguments else DEFAULT_TARGET
    target = stack_target(checkout, stack)
    pulumi_bin = recorded_pulumi_bin(checkout)
    print(shell_code(changes(checkout, stack, target, pulumi_bin, os.environ), os.environ))
    print(
        f"echo {shlex.quote(f'pulumi and indextts2 are on PATH for the stack {stack}; indextts2_deactivate ends it')}"
    )


def _assignments(values: Changes) -> str:
    return "\n".join(
        f"    unset {name}" if value is None else f"    export {name}={shlex.quote(value)}"
        for name, value in values.items()
    )


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
