"""How long speech will be and how long it will take: what admission and deadlines are computed from."""

from __future__ import annotations

# Seconds of speech a character at an even pace: Mandarin is spoken at four to five syllables a second, English at
# about fifteen letters a second.
_SECONDS_PER_IDEOGRAPH = 0.22
_SECONDS_PER_LETTER = 0.065
# The first CJK code point of the blocks that are read a syllable a character (kana, ideographs, hangul).
_FIRST_SYLLABIC = 0x2E80
# Before anything was measured. Between a CPU formant synthesiser (0.02) and a diffusion model on a small GPU (5).
_FIRST_REAL_TIME_FACTOR = 0.3
_LEARNING_RATE = 0.2
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
    """Synthesis seconds per *estimated* audio second, a moving average over the calls so far.

    Learning against the estimate, not the true length, lets the estimate's own bias cancel out.
    """

    def __init__(self) -> None:
        self.value = _FIRST_REAL_TIME_FACTOR
        self._measured = False

    def learn(self, estimated_audio_seconds: float, synthesis_seconds: float) -> None:
        if estimated_audio_seconds <= 0:
            return
        measured = synthesis_seconds / estimated_audio_seconds
        weight = _LEARNING_RATE if self._measured else 1.0
        self.value += weight * (measured - self.value)
        self._measured = True
