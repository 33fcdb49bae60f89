"""Samples to the bytes of a sound file, for every format that the API offers."""

from __future__ import annotations

import importlib
import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import soundfile
import soxr


@dataclass(frozen=True)
class AudioFormat:
    """One format: its `media_type`, and how its bytes are made of mono float32 samples and their rate in Hz.

    `encoder` names "module:function" instead of holding it, so that a process that never writes the format does not
    pay for importing its library (PyAV: 0.14 s).
    """

    media_type: str
    encoder: str


_HERE = __name__
FORMATS: Mapping[str, AudioFormat] = MappingProxyType(
    {
        "wav": AudioFormat("audio/wav", f"{_HERE}:wav"),
        "flac": AudioFormat("audio/flac", f"{_HERE}:flac"),
        "mp3": AudioFormat("audio/mpeg", f"{_HERE}:mp3"),
        "opus": AudioFormat("audio/ogg", f"{_HERE}:opus"),
        "aac": AudioFormat("audio/aac", "speech_server.audio.encode_aac:aac"),
        "pcm": AudioFormat("audio/pcm", f"{_HERE}:pcm"),
    }
)

# what OpenAI's clients take headerless audio to be
PCM_RATE = 24_000
# Opus knows 8, 12, 16, 24 and 48 kHz; 24 kHz holds all of a 22,050 Hz voice
OPUS_RATE = 24_000

# http://soundfile.sapp.org/doc/WaveFormat/: RIFF size WAVE, the format of the samples, data size
_WAV_HEAD = struct.Struct("<4sI4s4sIHHIIHH4sI")
_WAV_PCM = 1


def encode(samples: np.ndarray, sample_rate: int, format: str) -> bytes:  # noqa: A002 - the API's own name for it
    """One whole clip as the bytes of `format`, a key of FORMATS.

    `samples` is float32 mono of shape (n,); what lies outside -1..1 is clipped. wav and flac are 16-bit at
    `sample_rate`, mp3 and aac at `sample_rate`, opus is Ogg at 24 kHz, pcm is headerless s16le at 24 kHz.
    Raises ValueError for another format, an empty clip, another shape, or samples that are not finite.
    """
    if format not in FORMATS:
        raise ValueError(f"format: {format!r} is not one of {', '.join(FORMATS)}")
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"samples: shape {samples.shape}, a mono clip of at least one sample is needed")
    if not np.isfinite(samples).all():
        raise ValueError("samples: some are NaN or infinite")
    clipped = np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)
    return _encoder(FORMATS[format].encoder)(clipped, sample_rate)


def _encoder(name: str) -> Callable[[np.ndarray, int], bytes]:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Samples in -1..1 as 16-bit integers, rounded; 1.0 is 32,767 and -1.0 is -32,767."""
    return np.rint(samples * 32767.0).astype("<i2")


def from_int16(samples: np.ndarray) -> np.ndarray:
    """The inverse of `to_int16`: float32 samples that are its own to write to."""
    return samples.astype(np.float32) / np.float32(32767.0)


def wav_of_int16(pcm: bytes, sample_rate: int) -> bytes:
    """16-bit little-endian mono samples as a WAV file: the bytes that `wav` makes, without a copy of the samples."""
    return wav_head(sample_rate, 36 + len(pcm), len(pcm)) + pcm


def wav_head(sample_rate: int, file_bytes: int, data_bytes: int) -> bytes:
    """What stands before 16-bit mono samples of `data_bytes` in a WAV file of `file_bytes` and 8 more."""
    return _WAV_HEAD.pack(
        *(b"RIFF", file_bytes, b"WAVE", b"fmt ", 16, _WAV_PCM, 1, sample_rate, 2 * sample_rate, 2, 16),
        *(b"data", data_bytes),
    )


def wav(samples: np.ndarray, sample_rate: int) -> bytes:
    return _soundfile(to_int16(samples), sample_rate, "WAV", "PCM_16")


def flac(samples: np.ndarray, sample_rate: int) -> bytes:
    return _soundfile(to_int16(samples), sample_rate, "FLAC", "PCM_16")


def mp3(samples: np.ndarray, sample_rate: int) -> bytes:
    # constant bit rate: players can seek and show the length; level 0.5 is about 80 kbit/s at 22,050 Hz mono
    return _soundfile(samples, sample_rate, "MP3", "MPEG_LAYER_III", compression_level=0.5, bitrate_mode="CONSTANT")


def opus(samples: np.ndarray, sample_rate: int) -> bytes:
    # level 0.8 is about 58 kbit/s for speech: nearer to the original and twice as fast as the default of 36
    resampled = soxr.resample(samples, sample_rate, OPUS_RATE)
    return _soundfile(resampled, OPUS_RATE, "OGG", "OPUS", compression_level=0.8)


def pcm(samples: np.ndarray, sample_rate: int) -> bytes:
    return to_int16(np.clip(soxr.resample(samples, sample_rate, PCM_RATE), -1.0, 1.0)).tobytes()


def _soundfile(samples: np.ndarray, sample_rate: int, container: str, subtype: str, **quality: float | str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format=container, subtype=subtype, **quality)  # ty: ignore
    return file.getvalue()
