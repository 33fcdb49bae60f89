"""Segments of speech to one clip: no click at a joint, no step in loudness, and pauses as long as they were meant.

A model speaks each segment anew, with silence of its own before and after it and at a level of its own.
"""

from __future__ import annotations

import numpy as np

from speech_server.audio.levels import audible_span, loudest_block_dbfs, with_soft_ends

# Below this a vocoder's silence is noise: -54 dBFS, under the faintest consonants of normalised speech.
_AUDIBLE = 0.002
# What may lie under the threshold and belongs to the speech: the breath before an h or f, the fading of a vowel.
_LEAD_SECONDS = 0.015
_TAIL_SECONDS = 0.04
# Speakers vary by a few dB from one sentence to the next; a change over this is heard as a cut.
_NATURAL_STEP_DB = 3.0
_LARGEST_GAIN_DB = 9.0
_PEAK = 0.97
# How fast the level that the next segment is compared with follows.
_FOLLOWING = 0.3


class Joiner:
    """Gives the samples to append, segment after segment, so that a clip can be sent before it is whole.

    The same segments give the same samples, however they are sent. `pause`: what is put before the first segment, in
    seconds, if it goes on behind a clip's beginning.
    """

    def __init__(self, sample_rate: int, pause: float | None = None) -> None:
        self._sample_rate = sample_rate
        self._level: float | None = None  # dBFS
        self._pause = pause

    def add(self, samples: np.ndarray, pause: float) -> np.ndarray:
        """float32 mono samples of shape (n,) to append; `pause` seconds are put before the *next* segment.

        Empty for a segment that holds no sound: its pause is not lost, the longer of the two is kept.
        """
        start, end = audible_span(samples, self._sample_rate, _AUDIBLE)
        if start == end:
            self._pause = max(self._pause, pause) if self._pause is not None else None
            return np.zeros(0, dtype=np.float32)
        start = max(0, start - round(_LEAD_SECONDS * self._sample_rate))
        end = min(samples.size, end + round(_TAIL_SECONDS * self._sample_rate))
        spoken = with_soft_ends(self._levelled(samples[start:end]), self._sample_rate)
        silence = np.zeros(round((self._pause or 0.0) * self._sample_rate), dtype=np.float32)
        self._follow(loudest_block_dbfs(spoken, self._sample_rate))
        self._pause = pause
        return np.concatenate([silence, spoken])

    def _levelled(self, samples: np.ndarray) -> np.ndarray:
        if self._level is None:
            return samples
        gain = correction_db(loudest_block_dbfs(samples, self._sample_rate), self._level)
        factor = 10 ** (gain / 20)
        peak = float(np.abs(samples).max())
        if gain > 0 and peak * factor > _PEAK:
            factor = max(1.0, _PEAK / peak)
        return samples * np.float32(factor)

    def _follow(self, level: float) -> None:
        self._level = level if self._level is None else self._level + _FOLLOWING * (level - self._level)


def correction_db(level: float, expected: float) -> float:
    """Gain in dB that leaves at most the natural step between a segment's level and the expected one, both in dBFS."""
    step = level - expected
    if abs(step) <= _NATURAL_STEP_DB:
        return 0.0
    excess = abs(step) - _NATURAL_STEP_DB
    return -min(excess, _LARGEST_GAIN_DB) if step > 0 else min(excess, _LARGEST_GAIN_DB)
