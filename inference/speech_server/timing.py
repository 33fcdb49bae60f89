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


def native_factor(timing: Timing, estimated_seconds: float, error: float, factors: tuple[float, float]) -> float | None:
    """The factor of its natural length (over 1 is slower) that an engine is asked to speak at; None: its own pace.

    `factors`: the least and the most that it does. `estimated_seconds` (> 0): the natural length, which nobody knows
    before it is spoken; of a target, what the estimate may be wrong by (`error`, a factor >= 1) is left to the stretch,
    so that the engine is hardly ever asked for more than was wanted.
    """
    wanted = 1.0
    if timing.speed is not None:
        wanted = 1 / timing.speed
    elif timing.target_seconds is not None:
        ratio = timing.target_seconds / estimated_seconds
        wanted = max(1.0, ratio / error) if ratio > 1 else min(1.0, ratio * error)
    least, most = factors
    taken = min(most, max(least, wanted))
    return None if taken == 1.0 else taken


def final_length(natural: float, sample_rate: int, timing: Timing) -> int:
    """Samples of the clip, from those of the natural speech (> 0, a fraction if they are reckoned). Raises
    TargetOutOfReachError.
    """
    if timing.speed is not None:
        return max(1, round(natural / timing.speed))
    if timing.target_seconds is None:
        return round(natural)
    length = round(timing.target_seconds * sample_rate)
    # A sample's rounding must not refuse what the message below offers.
    if natural / FASTEST - 1 <= length <= natural / SLOWEST + 1:
        return max(1, length)
    seconds = natural / sample_rate
    raise TargetOutOfReachError(
        f"this text is {seconds:.2f} s long when spoken at its natural pace; target_seconds may be "
        f"{seconds / FASTEST:.2f} to {seconds / SLOWEST:.2f}, not {timing.target_seconds:g}"
    )
