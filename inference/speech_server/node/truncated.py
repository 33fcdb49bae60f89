"""Files of weights that ended too early, told in a millisecond each by what their formats say of their own length."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

# https://github.com/huggingface/safetensors#format: eight bytes with the header's length, the header, the tensors
_LENGTH = struct.Struct("<Q")
_MAX_HEADER_BYTES = 100_000_000


def truncated_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of the files (paths in `folder`) that are shorter than they say. One of another format is not judged, and
    neither is one that is not there.
    """
    return [name for name in names if _is_truncated(folder / name)]


def _is_truncated(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH.size + 1)
        if path.suffix == ".safetensors":
            return _safetensors_bytes(path, start) > path.stat().st_size
        # torch.save writes a zip archive, whose list of contents comes last.
        return start[:4] == b"PK\x03\x04" and not zipfile.is_zipfile(path)
    except OSError:
        return False


def _safetensors_bytes(path: Path, start: bytes) -> int:
    """What the file's header says that it has; 0 if it is no such header."""
    if len(start) <= _LENGTH.size or start[-1:] != b"{":
        return 0
    (length,) = _LENGTH.unpack(start[: _LENGTH.size])
    if length > _MAX_HEADER_BYTES:
        return 0
    with path.open("rb") as file:
        file.seek(_LENGTH.size)
        header = file.read(length)
    if len(header) < length:
        return _LENGTH.size + length
    try:
        tensors = json.loads(header)
        ends = [value["data_offsets"][1] for name, value in tensors.items() if name != "__metadata__"]
        return _LENGTH.size + length + max(map(int, ends), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return 0
