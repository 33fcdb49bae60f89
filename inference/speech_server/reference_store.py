"""Callers' voice samples: from base64 to checked files in a private folder that does not grow without bound."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import re
from pathlib import Path

from speech_server.audio.decode import AudioError, ReferenceLimits, decode_reference, write_reference
from speech_server.engines.base import Reference
from speech_server.errors import ApiError

_DATA_URI = re.compile(r"data:[A-Za-z0-9!#$&^_.+/;=\"-]{0,128};base64,")
_BLANKS = str.maketrans("", "", " \t\r\n")
# Files of the least recently used samples go first; one of 30 s at 48 kHz is 2.9 MB.
_KEPT_FILES = 512
_PRUNED_AT = 640


class ReferenceStore:
    """`keep()` is blocking work for a thread. Raises OSError when it is made and the folder is not to be had."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "references"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._limits = ReferenceLimits()
        self._files = sum(1 for _ in self._folder.iterdir())

    def keep(self, audio: str, param: str) -> Reference:
        """The sample as a file for the engine. Raises ApiError that names `param`."""
        data = _decode_base64(audio, param)
        try:
            reference = write_reference(decode_reference(data, self._limits), self._folder)
        except AudioError as error:
            raise ApiError(400, error.code, f"{param}: {error.message}", param) from None
        os.utime(reference.path)
        self._files += 1
        if self._files > _PRUNED_AT:
            self._prune()
        return reference

    def _prune(self) -> None:
        files = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                files.append((path.stat().st_mtime_ns, path))
        files.sort(reverse=True)
        for _, path in files[_KEPT_FILES:]:
            path.unlink(missing_ok=True)
        self._files = min(len(files), _KEPT_FILES)


def _decode_base64(audio: str, param: str) -> bytes:
    prefix = _DATA_URI.match(audio)
    if audio.startswith("data:") and prefix is None:
        raise ApiError(400, "not_base64", f"{param}: a data URI must be like data:audio/wav;base64,...", param)
    encoded = audio[prefix.end() :] if prefix else audio
    try:
        return base64.b64decode(encoded.translate(_BLANKS), validate=True)
    except (binascii.Error, ValueError):
        message = f"{param} must be base64 (A-Z a-z 0-9 + / and = at the end) of an audio file, or a data URI of it"
        raise ApiError(400, "not_base64", message, param) from None
