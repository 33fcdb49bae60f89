"""Which library opens which kind of sound file, and what all of them give: a header, then samples block by block."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import soundfile

ACCEPTED = "WAV, FLAC, MP3, Ogg Vorbis or Ogg Opus"

# Files are recognised by their first bytes before a decoder sees them: libsndfile knows 25 more containers, each a
# parser that nobody needs here. MP3 goes to PyAV, because libsndfile's decoder writes a line to standard error for
# every bad frame; it is named, not imported, as it takes 0.14 s.
_SNDFILE = f"{__name__}:open_with_soundfile"
_MP3 = "speech_server.audio.read_mp3:open_mp3"
_READERS: tuple[tuple[bytes, str], ...] = (
    (b"RIFF", _SNDFILE),
    (b"RF64", _SNDFILE),
    (b"fLaC", _SNDFILE),
    (b"OggS", _SNDFILE),
    (b"ID3", _MP3),
)
# what such containers hold in practice; also here the rest is parsers that nobody needs
_SUBTYPES = frozenset(
    {"PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"}
    | {"VORBIS", "OPUS"}
)


@dataclass(frozen=True)
class OpenedAudio:
    """`blocks` yields float32 of shape (n, channels), n at most one second, and does no work ahead of its reader."""

    channels: int
    sample_rate: int
    blocks: Iterator[np.ndarray]


class UndecodableError(ValueError):
    """The bytes are not what they begin like; says why in a few words."""


Reader = Callable[[bytes], AbstractContextManager[OpenedAudio]]


def reader_for(data: bytes) -> Reader | None:
    """The reader for what the bytes begin like, or None. It raises UndecodableError, when opened and when read."""
    mpeg_frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0
    name = _MP3 if mpeg_frame else next((reader for magic, reader in _READERS if data.startswith(magic)), None)
    if name is None:
        return None
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


@contextlib.contextmanager
def open_with_soundfile(data: bytes) -> Generator[OpenedAudio]:
    """WAV, FLAC and Ogg. Raises UndecodableError."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.subtype not in _SUBTYPES:
                raise UndecodableError(f"its encoding {file.subtype} is not taken")
            yield OpenedAudio(file.channels, file.samplerate, _blocks(file))
    except soundfile.SoundFileError as error:
        reason = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
        raise UndecodableError(reason.rstrip(". ")) from error


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    while len(block := file.read(frames=file.samplerate, dtype="float32", always_2d=True)):
        yield block
