"""Voices that an operator gives to every caller: a folder of NAME.wav. IndexTTS2 has none of its own."""

from __future__ import annotations

import re
from pathlib import Path

from speech_server.audio.decode import AudioError, ReferenceLimits, decode_reference, write_reference
from speech_server.engines.base import Reference

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class VoiceFolderError(ValueError):
    """A file of the folder is no voice; the message names it."""


def read_voices(folder: Path, kept_in: Path) -> dict[str, Reference]:
    """Voices by name, "default" first if there is one, each as a checked sample in `kept_in`.

    Raises VoiceFolderError, OSError.
    """
    voices: dict[str, Reference] = {}
    for path in sorted(folder.glob("*.wav"), key=lambda path: (path.stem != "default", path.stem)):
        if not _NAME.fullmatch(path.stem):
            raise VoiceFolderError(f"{path}: a voice's name is made of a-z, 0-9, - and _")
        try:
            voices[path.stem] = write_reference(decode_reference(path.read_bytes(), ReferenceLimits()), kept_in)
        except AudioError as error:
            raise VoiceFolderError(f"{path}: {error.message}") from None
    return voices
