"""Joints between segments: clicks, steps in loudness, pauses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_server.audio.joints import Joiner, correction_db

RATE = 22_050


def spoken(seconds: float, amplitude: float, silence: float = 0.2) -> np.ndarray:
    """A tone that starts and ends at full swing, with a vocoder's faint noise around it."""
    noise = np.random.default_rng(1).normal(0, 0.0002, round(silence * RATE))
    tone = amplitude * np.cos(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)
    return np.concatenate([noise, tone, noise]).astype(np.float32)


def joined(segments: list[tuple[np.ndarray, float]]) -> np.ndarray:
    joiner = Joiner(RATE)
    return np.concatenate([joiner.add(samples, pause) for samples, pause in segments])


def level(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples**2))))


class TestClicks:
    def test_every_segment_rises_from_and_falls_to_silence(self) -> None:
        clip = joined([(spoken(0.5, 0.5, silence=0.0), 0.3)] * 3)
        # a 200 Hz tone of 0.5 moves 0.029 from one sample to the next
        assert np.abs(np.diff(clip)).max() < 0.04
        assert abs(clip[0]) < 0.001
        assert abs(clip[-1]) < 0.001

    def test_the_segments_own_silence_is_cut_down(self) -> None:
        clip = joined([(spoken(0.5, 0.5, silence=2.0), 0.0)])
        assert 0.5 < clip.size / RATE < 0.6


class TestPauses:
    def test_they_are_as_long_as_they_were_meant_whatever_silence_came_along(self) -> None:
        gaps = []
        for silence in (0.0, 0.1, 0.8):
            clip = joined([(spoken(0.5, 0.5, silence), 0.36), (spoken(0.5, 0.5, silence), 0.36)])
            loud = np.flatnonzero(np.abs(clip) > 0.25)
            gaps.append(np.diff(loud).max() / RATE)
        # up to 40 + 15 ms of a segment's own ends are kept
        assert max(gaps) - min(gaps) < 0.06
        assert min(gaps) > 0.35

    def test_none_before_the_first_and_after_the_last(self) -> None:
        clip = joined([(spoken(0.5, 0.5, 0.0), 5.0)])
        assert clip.size / RATE == pytest.approx(0.5, abs=0.01)

    def test_a_silent_segment_adds_nothing_and_its_pause_is_kept(self) -> None:
        silent = np.zeros(RATE, dtype=np.float32)
        with_it = joined([(spoken(0.5, 0.5), 0.16), (silent, 0.5), (spoken(0.5, 0.5), 0.0)])
        without = joined([(spoken(0.5, 0.5), 0.5), (spoken(0.5, 0.5), 0.0)])
        np.testing.assert_array_equal(with_it, without)
        assert joined([(silent, 0.5)]).size == 0
        assert joined([(np.zeros(0, dtype=np.float32), 0.5)]).size == 0


class TestLevels:
    @pytest.mark.parametrize("second", [0.03, 0.1, 0.9])
    def test_a_step_is_cut_down_to_what_is_natural(self, second: float) -> None:
        joiner = Joiner(RATE)
        first = joiner.add(spoken(0.8, 0.3), 0.0)
        after = joiner.add(spoken(0.8, second), 0.0)
        asked = 20 * np.log10(second / 0.3)
        left = level(after) - level(first)
        assert abs(left) <= max(3.5, abs(asked) - 8.5)
        assert np.sign(left) == np.sign(asked)

    def test_a_natural_change_is_left_alone(self) -> None:
        joiner = Joiner(RATE)
        joiner.add(spoken(0.8, 0.3), 0.0)
        louder = joiner.add(spoken(0.8, 0.4), 0.0)
        assert np.abs(louder).max() == pytest.approx(0.4, abs=0.001)

    def test_nothing_is_driven_over_full_scale(self) -> None:
        quiet_with_a_peak = spoken(0.8, 0.02)
        quiet_with_a_peak[8000] = 0.9
        joiner = Joiner(RATE)
        joiner.add(spoken(0.8, 0.8), 0.0)
        assert np.abs(joiner.add(quiet_with_a_peak, 0.0)).max() <= 0.97

    @given(st.floats(-80, 0), st.floats(-80, 0))
    def test_correction(self, found: float, expected: float) -> None:
        gain = correction_db(found, expected)
        assert abs(gain) <= 9
        assert gain == 0 or abs(found + gain - expected) < abs(found - expected)
