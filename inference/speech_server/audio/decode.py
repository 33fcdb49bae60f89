"""A caller's voice sample: from bytes that may be anything to mono samples that are known to be speech-like.

Work and memory are bounded by the limits, whatever the header says: a file is decoded block by block and dropped as
soon as it is seen to be too long.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech_server.audio.encode import wav_of_int16
from speech_server.audio.levels import loudest_block_dbfs
from speech_server.audio.readers import ACCEPTED, OpenedAudio, UndecodableError, reader_for
from speech_server.engines.base import Reference

# Decoded MP3 overshoots full scale by a few percent; four times over (12 dB) is not overshoot but another scale.
_HIGHEST_PEAK = 4.0
# Rooms recorded with nobody speaking are at -60 dBFS and below, quiet speech is at -40 and above.
SILENCE_DBFS = -50.0


@dataclass(frozen=True)
class ReferenceLimits:
    """What a voice sample may be: seconds, channels, and Hz, ends included."""

    min_seconds: float = 1.0
    max_seconds: float = 30.0
    max_channels: int = 8
    min_rate: int = 8_000
    max_rate: int = 192_000


@dataclass(frozen=True)
class DecodedReference:
    """float32 mono samples of shape (n,) in -1..1, at the file's own rate in Hz."""

    samples: np.ndarray
    sample_rate: int
    seconds: float


class AudioError(ValueError):
    """A sample that cannot be used: `code` for programs, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def decode_reference(data: bytes, limits: ReferenceLimits) -> DecodedReference:
    """Decode and check a voice sample.

    Channels are averaged; a peak over full scale is scaled down to it. Raises AudioError with the code not_audio,
    too_many_channels, sample_rate_out_of_range, audio_too_long, audio_too_short, audio_not_finite,
    audio_out_of_range or audio_silent.
    """
    reader = reader_for(data)
    if reader is None:
        raise AudioError("not_audio", f"{len(data)} bytes that are no sound file known here; send {ACCEPTED}")
    try:
        with reader(data) as audio:
            rate = audio.sample_rate
            _check_header(audio.channels, rate, limits)
            samples = _read_mono(audio, limits)
    except UndecodableError as error:
        raise AudioError("not_audio", f"the audio cannot be decoded ({error}); send {ACCEPTED}") from error
    seconds = samples.size / rate
    if seconds < limits.min_seconds:
        raise AudioError(
            "audio_too_short",
            f"{seconds:.2f} s of audio found, at least {limits.min_seconds:g} s of speech are needed",
        )
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > 1.0:
        samples /= np.float32(peak)
    level = loudest_block_dbfs(samples, rate)
    if level < SILENCE_DBFS:
        found = "digital silence" if level == float("-inf") else f"{level:.0f} dBFS at its loudest"
        raise AudioError("audio_silent", f"{found}, speech of at least {SILENCE_DBFS:.0f} dBFS is needed")
    return DecodedReference(samples=samples, sample_rate=rate, seconds=seconds)


def write_reference(decoded: DecodedReference, folder: Path) -> Reference:
    """Keep a sample as a mono 16-bit WAV named by the sha256 of its content, mode 0600; once for equal content.

    Safe beside other writers of the same content: the file appears whole or not at all. Raises OSError.
    """
    content = sample_wav(decoded)
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{sha256}.wav"
    if not path.exists():
        _write_whole(path, content)
    return Reference(sha256=sha256, path=str(path), seconds=decoded.seconds)


def sample_wav(decoded: DecodedReference) -> bytes:
    """A sample as a mono 16-bit WAV. What comes from such a file becomes the same bytes again."""
    # The reader divides by 32,768, and so 1.0 does not fit in.
    pcm = np.clip(np.rint(decoded.samples * np.float32(32768.0)), -32768, 32767).astype("<i2")
    return wav_of_int16(pcm.tobytes(), decoded.sample_rate)


def _check_header(channels: int, rate: int, limits: ReferenceLimits) -> None:
    if channels > limits.max_channels:
        raise AudioError(
            "too_many_channels", f"{channels} channels found, at most {limits.max_channels} are taken; mono is best"
        )
    if not limits.min_rate <= rate <= limits.max_rate:
        raise AudioError(
            "sample_rate_out_of_range", f"{rate} Hz found, {limits.min_rate} to {limits.max_rate} Hz are taken"
        )


def _read_mono(audio: OpenedAudio, limits: ReferenceLimits) -> np.ndarray:
    most = int(limits.max_seconds * audio.sample_rate)
    blocks: list[np.ndarray] = []
    total = 0
    for block in audio.blocks:
        peak = np.abs(block).max(initial=0.0)
        if not np.isfinite(peak):
            raise AudioError("audio_not_finite", "the audio holds samples that are NaN or infinite")
        if peak > _HIGHEST_PEAK:
            raise AudioError(
                "audio_out_of_range", f"a sample of {peak:g} found, floating-point samples must lie in -1..1"
            )
        blocks.append(block.mean(axis=1, dtype=np.float32))
        total += len(block)
        if total > most:
            raise AudioError(
                "audio_too_long",
                f"more than {limits.max_seconds:g} s of audio found, at most {limits.max_seconds:g} s are taken",
            )
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def _write_whole(path: Path, content: bytes) -> None:
    # mkstemp makes the file with mode 0600
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
