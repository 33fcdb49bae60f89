"""Levels are checked against signals whose level is known by arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from speech_server.audio.levels import audible_span, loudest_block_dbfs, with_soft_ends

RATE = 22_050


def sine(seconds: float, amplitude: float = 1.0, frequency: float = 440.0) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


class TestLoudestBlock:
    @pytest.mark.parametrize(("amplitude", "level"), [(1.0, -3.01), (0.1, -23.01), (0.001, -63.01)])
    def test_a_sine_has_the_level_of_its_amplitude(self, amplitude: float, level: float) -> None:
        assert loudest_block_dbfs(sine(2, amplitude), RATE) == pytest.approx(level, abs=0.05)

    def test_one_loud_second_among_silence_is_found(self) -> None:
        quiet = np.zeros(RATE * 5, dtype=np.float32)
        assert loudest_block_dbfs(np.concatenate([quiet, sine(1), quiet]), RATE) == pytest.approx(-3.01, abs=0.1)

    def test_a_click_does_not_make_a_clip_loud(self) -> None:
        clip = np.zeros(RATE, dtype=np.float32)
        clip[RATE // 2] = 1.0
        assert loudest_block_dbfs(clip, RATE) < -35

    @pytest.mark.parametrize("clip", [np.zeros(RATE), np.full(RATE, 0.5), np.zeros(0), np.zeros(1)])
    def test_silence_a_constant_and_nothing_have_no_level(self, clip: np.ndarray) -> None:
        assert loudest_block_dbfs(clip.astype(np.float32), RATE) == float("-inf")

    def test_a_clip_shorter_than_a_block_has_a_level(self) -> None:
        assert loudest_block_dbfs(sine(0.05), RATE) == pytest.approx(-3.01, abs=0.5)


class TestAudibleSpan:
    def test_silence_around_a_sound_is_left_out(self) -> None:
        clip = np.concatenate([np.zeros(RATE), np.full(100, 0.5), np.zeros(RATE)])
        start, end = audible_span(clip, RATE, 0.001)
        assert (start, end) == (RATE - 110, RATE + 210)

    def test_nothing_audible_is_an_empty_span(self) -> None:
        assert audible_span(np.full(RATE, 0.0005), RATE, 0.001) == (0, 0)

    def test_the_span_stays_inside_the_clip(self) -> None:
        assert audible_span(np.ones(10), RATE, 0.001) == (0, 10)


class TestSoftEnds:
    def test_the_ends_are_zero_and_the_middle_is_kept(self) -> None:
        clip = np.ones(RATE, dtype=np.float32)
        faded = with_soft_ends(clip, RATE)
        assert faded[0] == faded[-1] == 0
        assert (faded[70:-340] == 1).all()
        assert np.abs(np.diff(faded)).max() < 0.02

    @pytest.mark.parametrize("size", [0, 1, 2, 3, 50])
    def test_the_shortest_clips_keep_their_length(self, size: int) -> None:
        assert with_soft_ends(np.ones(size, dtype=np.float32), RATE).size == size

    def test_the_caller_keeps_its_samples(self) -> None:
        clip = np.ones(RATE, dtype=np.float32)
        with_soft_ends(clip, RATE)
        assert (clip == 1).all()
