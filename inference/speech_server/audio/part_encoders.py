"""A clip to the bytes of a sound file while its end is not yet there.

FLAC is not among the formats: without its length in the header, which only the end of a clip tells, libsndfile and what
is built on it cannot read the file.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
import soxr

from speech_server.audio.encode import PCM_RATE, from_int16, to_int16, wav_head

# What a WAV file of unknown length says of it; OpenAI's own answers and those of ffmpeg's pipes do.
_UNKNOWN_BYTES = 0xFFFF_FFFF


class PartEncoder(Protocol):
    """Takes a clip part by part; all that it gives, joined, is the file. What it gives may lag behind by 0.3 s."""

    def add(self, pcm: bytes) -> bytes:
        """Of 16-bit little-endian mono samples that go behind those of before."""
        ...

    def end(self, pcm: bytes) -> bytes:
        """Of the last samples, which may be none. Called once, after which the encoder is of no more use."""
        ...


# "module:class" as in `encode.FORMATS`, made with the rate in Hz of the samples that it will be given
PART_ENCODERS: Mapping[str, str] = MappingProxyType(
    {
        "wav": f"{__name__}:WavParts",
        "pcm": f"{__name__}:PcmParts",
        "mp3": "speech_server.audio.part_encoders_av:Mp3Parts",
        "opus": "speech_server.audio.part_encoders_av:OpusParts",
        "aac": "speech_server.audio.part_encoders_av:AacParts",
    }
)


def part_encoder(format: str, sample_rate: int) -> PartEncoder:  # noqa: A002 - the API's own name for it
    """For a key of PART_ENCODERS. The first one of a compressed format takes 0.15 s, to import its library."""
    module, _, name = PART_ENCODERS[format].partition(":")
    return getattr(importlib.import_module(module), name)(sample_rate)


class WavParts:
    """16-bit mono at the samples' own rate; the sizes in the header are the largest possible."""

    def __init__(self, sample_rate: int) -> None:
        self._head = wav_head(sample_rate, _UNKNOWN_BYTES, _UNKNOWN_BYTES)

    def add(self, pcm: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + pcm

    def end(self, pcm: bytes) -> bytes:
        return self.add(pcm)


class PcmParts:
    """Headerless s16le at 24 kHz: the same bytes as of the whole clip."""

    def __init__(self, sample_rate: int) -> None:
        self._stream = soxr.ResampleStream(sample_rate, PCM_RATE, 1, dtype="float32")

    def add(self, pcm: bytes) -> bytes:
        return self._resampled(pcm, last=False)

    def end(self, pcm: bytes) -> bytes:
        return self._resampled(pcm, last=True)

    def _resampled(self, pcm: bytes, last: bool) -> bytes:
        samples = self._stream.resample_chunk(from_int16(np.frombuffer(pcm, dtype="<i2")), last)
        return to_int16(np.clip(samples, -1.0, 1.0)).tobytes()
