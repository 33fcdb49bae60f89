"""Removes what set-up made in the checkout: `python -m tools.clean`. Data stay."""

from __future__ import annotations

import shutil
import sys

from tools import encryption_salt
from tools.checkout import here
from tools.checkpoint import all_checkpoints
from tools.failure import SetupError, exit_status
from tools.local_state import files_with_salt


def main(_arguments: list[str]) -> None:
    """Raises SetupError while a stack on this machine is up: its processes could not be stopped afterwards."""
    checkout = here()
    up = [state.file.stem for state in all_checkpoints(checkout) if state.resources or state.pending_creates]
    if up:
        raise SetupError(
            "still up: " + ", ".join(up) + "; first " + " && ".join(f"make down STACK={name}" for name in up)
        )
    gone = [
        checkout.root / "policy" / ".venv",
        checkout.local / "policy",
        checkout.local / "engine",
        checkout.local / "engine.lock",
        checkout.venv,
        checkout.state,
        checkout.pulumi_home,
        checkout.pulumi_bin_record,
    ]
    gone += [checkout.root / ".pytest_cache", checkout.root / ".ruff_cache"]
    gone += (checkout.root / "inference").glob("*.egg-info")
    salted = files_with_salt(checkout)
    secret = [file.name for file in salted if encryption_salt.has_secrets(file)]
    if secret:
        print(f"kept {checkout.passphrase}: it opens the secrets in {', '.join(secret)}")
    else:
        gone.append(checkout.passphrase)
        for file in salted:
            encryption_salt.drop_salt(file)
            encryption_salt.tell_git(checkout, file)
        encryption_salt.remove_filter(checkout)
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    print("removed what set-up made here; kept: data (.local/data, out/) and the Pulumi CLI in the cache")


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
