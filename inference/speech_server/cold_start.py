"""How long this node took from its launch to its first word, phase by phase: one line in the log, and a metric.

What came before the server - the instance, its system, the image, the weights - is in a file that the node's programs
write, {"boot": 41.2, "image": 63.0}; the server adds its own start, the engine's load and its warm-up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path

from speech_server.engines.pool import EnginePool
from speech_server.metrics import Metrics

# In the order in which they come.
NODE_PHASES = ("instance", "boot", "driver", "image", "weights")
OWN_PHASES = ("server", "load", "warm_up")

_MAX_FILE_BYTES = 4096
_MAX_SECONDS = 86_400.0
_POLL_SECONDS = 0.1

log = logging.getLogger("speech_server.cold_start")


async def tell_cold_start(phases_file: Path, host: EnginePool, metrics: Metrics, started: float) -> None:
    """Returns when an engine was warm for the first time and everything is told. `started`: when this process came into
    being, listening: now; both of time.monotonic.
    """
    listening = time.monotonic()
    while not host.ready or host.capabilities is None:
        await asyncio.sleep(_POLL_SECONDS)
    warm_up = host.capabilities.warm_up_seconds
    own = {
        "server": listening - started,
        "load": max(0.0, time.monotonic() - listening - warm_up),
        "warm_up": warm_up,
    }
    phases = {**read_phases(phases_file), **own}
    for phase, seconds in phases.items():
        metrics.watch(
            "speech_cold_start_seconds",
            "From the node's launch to its first word, by phase",
            lambda seconds=seconds: seconds,
            phase=phase,
        )
    log.info("cold_start", extra={"fields": {phase: round(seconds, 3) for phase, seconds in phases.items()}})


def read_phases(path: Path) -> dict[str, float]:
    """Seconds of each phase that the file tells of. What is missing or nonsense is left out, and the log says so."""
    try:
        text = _small_file(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("phases_unreadable", extra={"fields": {"file": str(path), "reason": str(error)[:200]}})
        return {}
    phases, ignored = known_phases(text)
    if ignored:
        log.warning("phases_ignored", extra={"fields": {"file": str(path), "count": ignored}})
    return phases


def known_phases(text: str) -> tuple[dict[str, float], int]:
    """The phases in their order, and how many entries are none: another name, or no number of 0 to 86,400 seconds."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}, 1
    if not isinstance(found, Mapping):
        return {}, 1
    phases = {name: float(found[name]) for name in NODE_PHASES if _is_seconds(found.get(name))}
    return phases, len(found) - len(phases)


def process_started() -> float:
    """When this process came into being, of time.monotonic; now, where the system does not tell (proc(5))."""
    now = time.monotonic()
    try:
        # The command's name, in parentheses, may have any character in it.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        since_boot = float(Path("/proc/uptime").read_text().split()[0])
        return now - max(0.0, since_boot - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return now


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _MAX_SECONDS and math.isfinite(value)


def _small_file(path: Path) -> str:
    """Raises OSError or ValueError. A pipe that nobody writes to does not hold the server up."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is no plain file")
        data = file.read(_MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise ValueError(f"has more than {_MAX_FILE_BYTES} bytes")
    return data.decode()
