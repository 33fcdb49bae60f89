"""When an engine process has had its day: counts, age, growth of memory, and running out of it.

Memory grows slowly in a process that speaks for weeks (https://github.com/index-tts/index-tts, issues 288 and 301); a
new process is the one cure that always works.
"""

from __future__ import annotations

from dataclasses import dataclass

# An engine that failed this often, though each time it went on, is no longer trusted, or has too little memory.
_MOST_RECOVERIES = 3


@dataclass(frozen=True)
class RecycleLimits:
    calls: int
    seconds: float
    growth_bytes: int


@dataclass(frozen=True)
class Wear:
    """What an engine process has been through. `growth_bytes`: memory in use now, over that after the warm-up."""

    calls: int = 0
    seconds: float = 0.0
    growth_bytes: int = 0
    recoveries: int = 0  # times that memory ran out and a smaller footprint helped, or the model failed on a text


def recycle_reason(wear: Wear, limits: RecycleLimits) -> str | None:
    """Why a new process should take over before the next call, or None."""
    if wear.recoveries >= _MOST_RECOVERIES:
        return f"failed {wear.recoveries} times, of memory or on a text"
    if wear.growth_bytes >= limits.growth_bytes:
        return f"its memory grew by {wear.growth_bytes >> 20} MiB, the limit is {limits.growth_bytes >> 20}"
    if wear.calls >= limits.calls:
        return f"{wear.calls} calls, the limit is {limits.calls}"
    if wear.seconds >= limits.seconds:
        return f"{wear.seconds / 3600:.1f} hours old, the limit is {limits.seconds / 3600:.1f}"
    return None
