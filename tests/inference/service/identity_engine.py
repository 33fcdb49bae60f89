"""A test engine whose sound says whose voice it is and what it says, bit by bit; `heard()` reads it back.

A voice is the sha256 of its sample's file, or of its name; a text is the sha256 of itself. Every call takes between 3
and 33 ms, by its text. A call beside another, or a sample that is not what its name says, kills the process.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from speech_server.engines.base import Cancelled, Capabilities, Speech, Utterance

ENGINE = "tests.inference.service.identity_engine:IdentityEngine"
HASTY = "tests.inference.service.identity_engine:HastyEngine"
UNHURRIED = "tests.inference.service.identity_engine:UnhurriedEngine"
SAMPLE_RATE = 22_050
VOICES = ("default", "low")

_MAGIC = b"WHO?"
_DIGEST_BYTES = 8
_SAMPLES_PER_BIT = 4
_LEVEL = 0.5


def digest_of(data: bytes) -> str:
    """What stands in the sound for `data`: the beginning of its sha256."""
    return hashlib.sha256(data).hexdigest()[: 2 * _DIGEST_BYTES]


def heard(sound: bytes) -> tuple[str, str]:
    """The digests of the voice and of the text in a WAV or FLAC file that the engine spoke, and that is whole."""
    samples, rate = soundfile.read(io.BytesIO(sound), dtype="float32")
    bits = samples.reshape(-1, _SAMPLES_PER_BIT)
    assert rate == SAMPLE_RATE
    assert np.abs(np.abs(bits) - _LEVEL).max() < 0.001, "not only this engine's samples"
    spoken = np.packbits(bits[:, 0] > 0).tobytes()
    assert np.array_equal(_samples(spoken) > 0, samples > 0), "samples of one bit differ"
    assert spoken.startswith(_MAGIC)
    assert len(spoken) == len(_MAGIC) + 2 * _DIGEST_BYTES
    voice, text = spoken[len(_MAGIC) : -_DIGEST_BYTES], spoken[-_DIGEST_BYTES:]
    return voice.hex(), text.hex()


def _samples(spoken: bytes) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(spoken, dtype=np.uint8)).astype(np.float32)
    return np.repeat((2 * bits - 1) * np.float32(_LEVEL), _SAMPLES_PER_BIT)


class IdentityEngine:
    """Clones, and has no emotions. A call takes `least_seconds`, and up to `more_seconds` more by its text."""

    least_seconds = 0.003
    more_seconds = 0.03

    def __init__(self) -> None:
        self._one_call = threading.Lock()

    def load(self) -> Capabilities:
        return Capabilities(
            name="identity",
            version="1",
            sample_rate=SAMPLE_RATE,
            languages=("en", "zh", "ja", "ko"),
            voices=VOICES,
            clone=True,
            emotion=False,
            native_duration=False,
        )

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        if not self._one_call.acquire(blocking=False):
            os._exit(99)
        try:
            text = digest_of(utterance.text.encode())
            deadline = time.monotonic() + self.least_seconds + int(text[:2], 16) / 255 * self.more_seconds
            while (left := deadline - time.monotonic()) > 0:
                if cancelled():
                    raise Cancelled
                time.sleep(min(left, 0.005))
            spoken = _MAGIC + bytes.fromhex(_voice(utterance)) + bytes.fromhex(text)
            return Speech(_samples(spoken), SAMPLE_RATE, ())
        finally:
            self._one_call.release()


class HastyEngine(IdentityEngine):
    """Calls that take no time: several are in line at it."""

    least_seconds = more_seconds = 0.0


class UnhurriedEngine(IdentityEngine):
    """Long enough for a node to be taken away in the middle of a clip."""

    least_seconds = 0.05
    more_seconds = 0.6


def _voice(utterance: Utterance) -> str:
    reference = utterance.reference
    if reference is None:
        return digest_of((utterance.voice or VOICES[0]).encode())
    data = Path(reference.path).read_bytes()
    if hashlib.sha256(data).hexdigest() != reference.sha256:
        os._exit(98)
    return digest_of(data)
