"""The media type of an object by its suffix, for a store that keeps none beside it."""

from __future__ import annotations

from speech_server.audio.encode import FORMATS

_SUFFIXES = {
    **{name: form.media_type for name, form in FORMATS.items()},
    "json": "application/json",
    "jsonl": "application/x-ndjson",
}


def media_type_of(key: str) -> str:
    return _SUFFIXES.get(key.rpartition(".")[2], "application/octet-stream")
