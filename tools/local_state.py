"""The backend, home and passphrase of the stacks on this machine, all inside the checkout's `.local/`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tools.checkout import Checkout
from tools.checkpoint import all_checkpoints
from tools.encryption_salt import drop_salt, has_salt, has_secrets
from tools.failure import SetupError
from tools.progress import step
from tools.stack_target import stack_target


def ensure(checkout: Checkout) -> None:
    """Makes what is missing. Directories are 0700, the passphrase 0600; it is made once and never shown.

    Raises SetupError when a deployed stack's passphrase is gone: its state holds secrets that no new one can open.
    """
    with step("Local state") as current:
        for directory in (checkout.local, checkout.state, checkout.pulumi_home):
            directory.mkdir(mode=0o700, exist_ok=True)
            if directory.stat().st_mode & 0o077:
                directory.chmod(0o700)
        if checkout.passphrase.exists() and checkout.passphrase.stat().st_size > 0:
            if checkout.passphrase.stat().st_mode & 0o077:
                checkout.passphrase.chmod(0o600)
                current.say(f"{checkout.passphrase} could be read by others: set to 0600")
            current.done(f"in {checkout.state}")
            return

        states = all_checkpoints(checkout)
        if any(state.resources for state in states):
            raise SetupError(_passphrase_gone(checkout))
        for (
            state
        ) in states:  # nothing is deployed, and what the state holds was encrypted with the passphrase that is gone
            state.file.unlink()
        salted = files_with_salt(checkout)
        for file in salted:
            if has_secrets(file):
                raise SetupError(_secrets_unreadable(checkout, file))
        _write_passphrase(checkout.passphrase)
        for file in salted:
            drop_salt(file)
            current.say(f"{file.name}: dropped the salt of a passphrase that is gone")
        current.done(f"made, with a new passphrase in {checkout.passphrase}")


def files_with_salt(checkout: Checkout) -> list[Path]:
    """Settings files of stacks on this machine that a passphrase was used with."""
    files = sorted(checkout.root.glob("Pulumi.?*.yaml"))
    names = [(file, file.name.removeprefix("Pulumi.").removesuffix(".yaml")) for file in files]
    return [file for file, name in names if has_salt(file) and stack_target(checkout, name) == "local"]


def _write_passphrase(file: Path) -> None:
    """Whole or not at all: it gets its name when it is complete."""
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(f"{secrets.token_urlsafe(32)}\n")
    unfinished.replace(file)


def _secrets_unreadable(checkout: Checkout, file: Path) -> str:
    return f"""{file.name} holds secrets (`secure:`) that the passphrase in {checkout.passphrase} opens.
      That file is gone.
    - Put the file back if you have a copy.
    - Else take the `secure:` entries and the line `encryptionsalt:` out of {file.name}, run `make setup`, and set them
      anew with `pulumi config set --secret`."""


def _passphrase_gone(checkout: Checkout) -> str:
    return f"""{checkout.passphrase} is gone, but {checkout.state} describes a deployed stack whose secrets it opens.
    - Put the file back if you have a copy.
    - Else start anew: end what still runs (its processes are listed by `ps ax | grep {checkout.local}`), then
      mv {checkout.state} {checkout.state}.lost
      and run this again. The new stack gets a new API key."""
