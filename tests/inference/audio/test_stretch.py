"""Stretching real speech and tones: the length is exact, the pitch stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_server.audio.stretch import stretch_to
from speech_server.engines.espeak_library import open_session

RATE = 22_050
SPEEDS = [0.25, 0.5, 0.75, 0.9, 1.1, 1.25, 2.0, 4.0]


def tone(seconds: float, frequency: float = 220.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def vowel(seconds: float, frequency: float = 120.0) -> np.ndarray:
    """A buzz with the harmonics of a voice, its loudness swelling three times a second like syllables."""
    time = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * frequency * harmonic * time) / harmonic for harmonic in range(1, 20))
    return (0.2 * buzz * (0.55 - 0.45 * np.cos(2 * np.pi * 3 * time))).astype(np.float32)


def strongest_frequency(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * RATE / samples.size)


def pitch(samples: np.ndarray) -> float:
    """By autocorrelation of 100 ms in the middle."""
    window = samples[samples.size // 2 :][:2205]
    correlation = np.correlate(window, window, "full")[window.size - 1 :]
    shortest = RATE // 400
    return RATE / (shortest + int(np.argmax(correlation[shortest : RATE // 60])))


def median_pitch(samples: np.ndarray) -> float:
    """Over loud windows of 50 ms."""
    windows = samples[: samples.size // 1102 * 1102].reshape(-1, 1102)
    lags = [
        RATE // 400 + int(np.argmax(np.correlate(window, window, "full")[1101 + RATE // 400 : 1101 + RATE // 100]))
        for window in windows
        if np.sqrt(np.mean(window**2)) > 0.05
    ]
    return RATE / float(np.median(lags))


class TestLength:
    @pytest.mark.parametrize("speed", SPEEDS)
    def test_the_length_is_exactly_as_asked(self, speed: float) -> None:
        clip = vowel(3)
        length = round(clip.size / speed)
        assert stretch_to(clip, RATE, length).shape == (length,)

    @given(size=st.integers(1, 8000), length=st.integers(1, 16000))
    @settings(max_examples=60, deadline=None)
    def test_any_two_lengths(self, size: int, length: int) -> None:
        stretched = stretch_to(tone(1)[:size], RATE, length)
        assert stretched.shape == (length,)
        assert np.isfinite(stretched).all()
        assert np.abs(stretched).max() <= 1

    def test_the_same_length_is_the_same_sound_in_a_copy(self) -> None:
        clip = tone(1)
        same = stretch_to(clip, RATE, clip.size)
        assert np.array_equal(same, clip)
        assert same is not clip

    def test_no_length_and_no_sound_are_refused(self) -> None:
        with pytest.raises(ValueError, match="length: 0"):
            stretch_to(tone(1), RATE, 0)
        with pytest.raises(ValueError, match="samples"):
            stretch_to(np.zeros(0, dtype=np.float32), RATE, 10)
        with pytest.raises(ValueError, match="samples"):
            stretch_to(np.zeros((2, 100), dtype=np.float32), RATE, 10)


class TestSound:
    @pytest.mark.parametrize("speed", SPEEDS)
    def test_a_tone_keeps_its_frequency(self, speed: float) -> None:
        clip = tone(4)
        assert strongest_frequency(stretch_to(clip, RATE, round(clip.size / speed))) == pytest.approx(220, rel=0.02)

    @pytest.mark.parametrize("speed", SPEEDS)
    def test_a_voice_keeps_its_pitch(self, speed: float) -> None:
        clip = vowel(4)
        stretched = stretch_to(clip, RATE, round(clip.size / speed))
        assert pitch(stretched) == pytest.approx(pitch(clip), rel=0.03)

    @pytest.mark.parametrize("speed", [0.5, 0.75, 1.25, 2.0])
    def test_spoken_words_keep_their_pitch(self, speed: float) -> None:
        with open_session() as session:
            session.set_voice("en-us+f3")
            speech = session.say("We are walking along a river", lambda: False)
        assert speech is not None
        stretched = stretch_to(speech, RATE, round(speech.size / speed))
        assert median_pitch(stretched) == pytest.approx(median_pitch(speech), rel=0.059)  # a semitone

    @pytest.mark.parametrize("speed", [0.5, 0.75, 1.25, 2.0])
    def test_loudness_stays(self, speed: float) -> None:
        clip = vowel(3)
        stretched = stretch_to(clip, RATE, round(clip.size / speed))
        assert np.sqrt(np.mean(stretched**2)) == pytest.approx(np.sqrt(np.mean(clip**2)), rel=0.15)

    @pytest.mark.parametrize("speed", SPEEDS)
    def test_quiet_ends_stay_quiet(self, speed: float) -> None:
        clip = vowel(3) * np.hanning(3 * RATE).astype(np.float32)
        stretched = stretch_to(clip, RATE, round(clip.size / speed))
        assert np.abs(stretched[:20]).max() < 0.03
        assert np.abs(stretched[-20:]).max() < 0.03

    def test_words_stay_where_they_are_in_proportion(self) -> None:
        silence = np.zeros(RATE, dtype=np.float32)
        clip = np.concatenate([silence, tone(1), silence])
        stretched = stretch_to(clip, RATE, clip.size * 2)
        loud = np.flatnonzero(np.abs(stretched) > 0.1)
        assert loud[0] / RATE == pytest.approx(2, abs=0.08)
        assert loud[-1] / RATE == pytest.approx(4, abs=0.08)

    def test_equal_calls_give_equal_samples(self) -> None:
        clip = vowel(1)
        first = stretch_to(clip, RATE, 15_000)
        stretch_to(tone(1), RATE, 40_000)
        assert np.array_equal(stretch_to(clip, RATE, 15_000), first)

    def test_full_scale_is_not_exceeded(self) -> None:
        clip = np.sign(tone(1)).astype(np.float32)
        assert np.abs(stretch_to(clip, RATE, 30_000)).max() <= 1
