"""How long the engine of this node takes for a second of speech: measured, for admission and scaling."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

# Before anything was measured. Between a CPU formant synthesiser (0.02) and a diffusion model on a small GPU (5).
_FIRST_REAL_TIME_FACTOR = 0.3
_LEAST_REAL_TIME_FACTOR = 1e-6  # something to divide by, for a clock that did not move
_CALLS = 16  # that the factor is measured over
_SURE_CALLS = 4
_SURE_SECONDS = 600.0


class RealTimeFactor:
    """Synthesis seconds per *estimated* audio second, over the last calls, the slowest of them left out.

    Learning against the estimate, not the true length, lets the estimate's own bias cancel out; while a voice's pace is
    learned, the two follow each other within these calls. One call that met a cold cache or a restart says nothing
    about the next, so the slowest is left out as soon as there are two.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.value = _FIRST_REAL_TIME_FACTOR
        self._clock = clock
        # of the last calls: synthesis over audio seconds, audio seconds, synthesis seconds
        self._calls: deque[tuple[float, float, float]] = deque(maxlen=_CALLS)
        self._last = 0.0

    @property
    def sure(self) -> bool:
        """Whether a refusal may rest on `value`: several calls, and none too old. A wrong guess that refused all calls
        could never be corrected by one.
        """
        return len(self._calls) >= _SURE_CALLS and self._clock() - self._last < _SURE_SECONDS

    def learn(self, estimated_audio_seconds: float, synthesis_seconds: float) -> None:
        if estimated_audio_seconds <= 0:
            return
        self._last = self._clock()
        ratio = synthesis_seconds / estimated_audio_seconds
        self._calls.append((ratio, estimated_audio_seconds, synthesis_seconds))
        ratios, audio, synthesis = zip(*self._calls, strict=True)
        left_out = self._calls[ratios.index(max(ratios))] if len(ratios) > 1 else (0.0, 0.0, 0.0)
        value = (sum(synthesis) - left_out[2]) / (sum(audio) - left_out[1])
        self.value = max(_LEAST_REAL_TIME_FACTOR, value)
