"""How long the clip is to be: the arithmetic of duration_ratio and target_seconds."""

from __future__ import annotations

from dataclasses import dataclass

# A clip stretched to more than twice or less than half its natural length is no longer natural speech.
SLOWEST, FASTEST = 0.5, 2.0


class TargetOutOfReachError(Exception):
    """The natural length cannot be fitted to the target; the message gives it and the reachable range."""


@dataclass(frozen=True)
class Timing:
    """At most one of the two is set; neither: the natural length."""

    speed: float | None = None  # playback speed: 1.1 is 10 % faster
    target_seconds: float | None = None


def final_length(natural: int, sample_rate: int, timing: Timing) -> int:
    """Samples of the clip, from those of the natural speech (> 0). Raises TargetOutOfReachError."""
    if timing.speed is not None:
        return max(1, round(natural / timing.speed))
    if timing.target_seconds is None:
        return natural
    length = round(timing.target_seconds * sample_rate)
    # A sample's rounding must not refuse what the message below offers.
    if natural / FASTEST - 1 <= length <= natural / SLOWEST + 1:
        return max(1, length)
    seconds = natural / sample_rate
    raise TargetOutOfReachError(
        f"this text is {seconds:.2f} s long when spoken at its natural pace; target_seconds may be "
        f"{seconds / FASTEST:.2f} to {seconds / SLOWEST:.2f}, not {timing.target_seconds:g}"
    )
