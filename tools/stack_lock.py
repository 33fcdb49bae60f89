"""The lock that Pulumi's file backend holds on a stack: cleared when its holder is dead, respected when it lives."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tools.checkout import Checkout
from tools.checkpoint import project_name
from tools.failure import SetupError
from tools.leftover_plugins import end_leftover_plugins
from tools.torn_attributes import remove_torn_attributes

# A file that holds no lock after this long is what a killed process left: it is written in one go.
SECONDS_TO_WRITE = 10.0


@dataclass(frozen=True)
class Lock:
    """A lock file's content. `pid` is None for a file that cannot be read."""

    file: Path
    pid: int | None
    user: str
    host: str
    since: str


def clear_stale(checkout: Checkout, stack: str) -> None:
    """Removes the locks whose holders are gone and what else a killed pulumi left behind, and says so.

    Raises SetupError that names the holder when one lives, or cannot be judged from here.
    """
    locks = read_locks(checkout, stack)
    host = socket.gethostname()
    for lock in locks:
        if not is_stale(lock, host):
            raise SetupError(_held(stack, lock, host))
    for lock in locks:
        lock.file.unlink(missing_ok=True)
        lock.file.with_name(f"{lock.file.name}.attrs").unlink(missing_ok=True)
        holder = f"process {lock.pid}, which held it since {lock.since}, is gone" if lock.pid else "it was half-written"
        print(f"==> cleared a stale lock of the stack {stack}: {holder}", flush=True)
    if ended := end_leftover_plugins(checkout.pulumi_home):
        print(f"==> ended {ended} plugin processes that a killed pulumi left behind", flush=True)
    for torn in remove_torn_attributes(checkout.state):
        print(
            f"==> removed {torn.name}, which a killed pulumi left half-written; nothing of the state is in it",
            flush=True,
        )


def read_locks(checkout: Checkout, stack: str) -> list[Lock]:
    """The lock files of a stack."""
    folder = checkout.state / ".pulumi" / "locks" / "organization" / project_name(checkout) / stack
    return [_read(file) for file in sorted(folder.glob("*")) if file.suffix != ".attrs" and file.is_file()]


def is_stale(lock: Lock, host: str) -> bool:
    """Whether nobody holds it any more. One from another host is never taken for stale: nothing is known of it here."""
    if lock.pid is None:
        return time.time() - lock.file.stat().st_mtime > SECONDS_TO_WRITE
    return lock.host == host and not is_pulumi(lock.pid)


def is_pulumi(pid: int) -> bool:
    """Whether that process runs and is a pulumi (its number may have gone to another program since)."""
    if sys.platform == "linux":
        try:
            if Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[-1].split()[0] == "Z":
                return False  # dead, only not yet taken note of by its parent
            name = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
        except OSError:
            return False
    else:
        shown = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
        name = os.path.basename(shown.stdout.strip())  # noqa: PTH119 (a program's name as ps shows it, not a path here)
    return name.startswith("pulumi")


def _read(file: Path) -> Lock:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Lock(file, int(content["pid"]), content["username"], content["hostname"], content["timestamp"])
    except (OSError, ValueError, KeyError, TypeError):
        return Lock(file, None, "?", "?", "?")


def _held(stack: str, lock: Lock, host: str) -> str:
    if lock.pid is None:
        return f"the stack {stack} is being locked just now ({lock.file}); try again in a few seconds"
    if lock.host == host:
        return (
            f"the stack {stack} is being changed by process {lock.pid} (pulumi, user {lock.user}, since {lock.since}). "
            f"Wait until it is done, or end it: kill -INT {lock.pid}"
        )
    return (
        f"the stack {stack} was locked on the host {lock.host} by process {lock.pid} (user {lock.user}, since "
        f"{lock.since}); this is {host}. If that process is gone, remove the lock:\n    rm '{lock.file}'"
    )
