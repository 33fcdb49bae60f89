"""How long speech will be and how long it will take: what admission and deadlines are computed from."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

# Seconds of speech a character at an even pace: Mandarin is spoken at four to five syllables a second, English at
# about fifteen letters a second.
_SECONDS_PER_IDEOGRAPH = 0.22
_SECONDS_PER_LETTER = 0.065
# The first CJK code point of the blocks that are read a syllable a character (kana, ideographs, hangul).
_FIRST_SYLLABIC = 0x2E80
# Before anything was measured. Between a CPU formant synthesiser (0.02) and a diffusion model on a small GPU (5).
_FIRST_REAL_TIME_FACTOR = 0.3
_LEAST_REAL_TIME_FACTOR = 1e-6  # something to divide by, for a clock that did not move
_CALLS = 16  # that the factor is measured over
_SURE_CALLS = 4
_SURE_SECONDS = 600.0
# A call's time limit is for a text up to this long, and grows with a longer one. With the default limit of 120 s that
# is 2.4 s a character, twice what IndexTTS2 needs in fp32 on a T4, the slowest engine that was measured in public.
_DEADLINE_CHARACTERS = 50


def audio_seconds(text: str) -> float:
    """About how many seconds `text` will be when spoken."""
    syllabic = sum(1 for character in text if ord(character) >= _FIRST_SYLLABIC)
    return syllabic * _SECONDS_PER_IDEOGRAPH + (len(text) - syllabic) * _SECONDS_PER_LETTER


def call_deadline(text: str, call_seconds: float) -> float:
    """Seconds after which an engine that speaks `text` is taken to hang; `call_seconds` for a short text."""
    return call_seconds * max(1.0, len(text) / _DEADLINE_CHARACTERS)


class RealTimeFactor:
    """Synthesis seconds per *estimated* audio second, over the last calls, the slowest of them left out.

    Learning against the estimate, not the true length, lets the estimate's own bias cancel out. One call that met a
    cold cache or a restart says nothing about the next, so the slowest is left out as soon as there are two.
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
