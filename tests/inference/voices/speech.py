"""Sound files for tests: speech by the CPU engine, and what is none."""

from __future__ import annotations

import functools
import io

import numpy as np
import soundfile

from speech_server.engines.base import Utterance
from speech_server.engines.espeak import EspeakEngine

TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps."


@functools.cache
def spoken(voice: str = "default", text: str = TEXT) -> tuple[np.ndarray, int]:
    """Float samples in -1..1 and their rate in Hz."""
    utterance = Utterance(
        text=text,
        language="en",
        voice=voice,
        reference=None,
        emotion=None,
        duration_factor=None,
        seed=None,
        small_footprint=False,
    )
    speech = _engine().speak(utterance, lambda: False)
    return speech.samples, speech.sample_rate


def speech_file(voice: str = "default", text: str = TEXT) -> bytes:
    """A WAV of a few seconds of speech; another voice or text is another file."""
    return sound_file(*spoken(voice, text))


def sound_file(samples: np.ndarray, rate: int, container: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


@functools.cache
def _engine() -> EspeakEngine:
    engine = EspeakEngine()
    engine.load()
    return engine


NOT_SPEECH = sound_file(0.5 * np.sin(2 * np.pi * 220 * np.arange(4 * 22_050) / 22_050), 22_050)
"""A tone of 4 s: sound, and no voice."""
