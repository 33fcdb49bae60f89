"""Plugin processes that a killed pulumi left behind: they could still be changing the machine."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

# The Python language host, the dynamic providers' shell script, and the Python process it starts.
_PLUGINS = (b"pulumi-language-python", b"pulumi-resource-pulumi-python", b"pulumi.dynamic")
SECONDS_TO_END = 5.0


def end_leftover_plugins(pulumi_home: Path) -> int:
    """Ends the plugins of this PULUMI_HOME whose pulumi is gone, and gives their number.

    Only where /proc tells a process's environment; elsewhere they are left to end by themselves.
    """
    found = leftover_plugins(pulumi_home)
    for pid in found:
        _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + SECONDS_TO_END
    while any(_runs(pid) for pid in found) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in found:
        if _runs(pid):
            _send(pid, signal.SIGKILL)
    return len(found)


def leftover_plugins(pulumi_home: Path) -> list[int]:
    """Process ids of plugins with this PULUMI_HOME that no pulumi stands above any more."""
    home = b"PULUMI_HOME=" + os.fsencode(pulumi_home)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            if not any(name in command for name in _PLUGINS):
                continue
            if home in (folder / "environ").read_bytes().split(b"\0") and not _below_pulumi(int(folder.name)):
                found.append(int(folder.name))
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


def _below_pulumi(pid: int) -> bool:
    """Whether a process named exactly `pulumi` is among its ancestors."""
    while pid > 1:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        if fields["Name"] == "pulumi":
            return True
        pid = int(fields["PPid"])
    return False


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[-1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
