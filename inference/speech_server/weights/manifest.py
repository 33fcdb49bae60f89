"""The manifest of a set of weights: which files it has, how long each is, its sums, and where it is from.

Whoever reads one does not trust it: no name in it leaves the weights folder, and no figure in it fills a disk unasked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from speech_server.engines.indextts2.packages import Version
from speech_server.storage.keys import is_key
from speech_server.weights.failure import Exit, TransferError

NAME = "manifest.json"
FORMAT = 1
# A part is what is read, verified and repeated as one. 8 to 16 MB a request:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
PART_BYTES = 8 << 20
MAX_MANIFEST_BYTES = 8 << 20
_PART_LIMITS = (1 << 20, 64 << 20)
_MAX_FILES = 1000
_MAX_PATH_CHARS = 300
_MAX_FILE_BYTES = 64 << 30
_MAX_TOTAL_BYTES = 256 << 30
_MAX_TEXT_CHARS = 300
_SHA256 = re.compile(r"[0-9a-f]{64}")
# What the folder in a bucket or on a disk keeps beside the files themselves.
_RESERVED = re.compile(r"manifest\.json|verified|filling-[0-9]+\.json", re.IGNORECASE)
_VERSIONS = ("2", "2.5")


@dataclass(frozen=True)
class Origin:
    """`licence` is what the hub calls it, "" if it says nothing."""

    repo: str
    revision: str
    licence: str


@dataclass(frozen=True)
class File:
    """`path` is inside the weights folder; `size` in bytes; `parts` the sha256 of each part, the last one shorter;
    `origin` counts in Manifest.origins.
    """

    path: str
    size: int
    sha256: str
    parts: tuple[str, ...]
    origin: int | None


@dataclass(frozen=True)
class Manifest:
    version: Version
    part_bytes: int
    origins: tuple[Origin, ...]
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def encode(manifest: Manifest) -> bytes:
    """The same manifest is always the same bytes."""
    files = [
        {
            "path": file.path,
            "size": file.size,
            "sha256": file.sha256,
            "origin": file.origin,
            "parts": list(file.parts),
        }
        for file in sorted(manifest.files, key=lambda file: file.path)
    ]
    origins = [{"repo": one.repo, "revision": one.revision, "licence": one.licence} for one in manifest.origins]
    value = {
        "format": FORMAT,
        "version": manifest.version,
        "part_bytes": manifest.part_bytes,
        "origins": origins,
        "files": files,
    }
    return json.dumps(value, indent=1).encode() + b"\n"


def parse(data: bytes) -> Manifest:
    """Raises TransferError that names the field and the value found."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise _wrong(f"it has {len(data):,} bytes, and may have {MAX_MANIFEST_BYTES:,}")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise _wrong("it is not JSON") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        found = value.get("format") if isinstance(value, dict) else value
        raise _wrong(f"format is {_shown(found)}, and this program reads {FORMAT}: use a newer release")
    version = value.get("version")
    if version not in _VERSIONS:
        raise _wrong(f"version is {_shown(version)}, not one of {', '.join(_VERSIONS)}")
    part_bytes = _number(value, "part_bytes", *_PART_LIMITS)
    origins = tuple(_origin(entry, place) for place, entry in enumerate(_list(value, "origins", _MAX_FILES)))
    files = tuple(
        _file(entry, f"files[{place}]", part_bytes, len(origins))
        for place, entry in enumerate(_list(value, "files", _MAX_FILES))
    )
    if not files:
        raise _wrong("files is empty")
    total = sum(file.size for file in files)
    if total > _MAX_TOTAL_BYTES:
        raise _wrong(f"its files have {total:,} bytes together, and may have {_MAX_TOTAL_BYTES:,}")
    problem = name_clash([file.path for file in files])
    if problem is not None:
        raise _wrong(problem)
    return Manifest(cast("Version", version), part_bytes, origins, files)


def is_path(path: str) -> bool:
    """Whether a file of a set may have this path: relative, plain parts, and none of the names kept for the set."""
    return len(path) <= _MAX_PATH_CHARS and is_key(path) and _RESERVED.fullmatch(path) is None


def name_clash(paths: Sequence[str]) -> str | None:
    """What a disk that takes A for a would mix up, or a file that is also a folder."""
    seen: dict[str, str] = {}
    for path in paths:
        folded = path.lower()
        if folded in seen:
            return f"files has both {seen[folded]!a} and {path!a}, which are one file on some disks"
        seen[folded] = path
    for path in paths:
        parts = path.lower().split("/")
        for length in range(1, len(parts)):
            if (parent := "/".join(parts[:length])) in seen:
                return f"files has {seen[parent]!a} as a file and as the folder of {path!a}"
    return None


def part_count(size: int, part_bytes: int) -> int:
    return -(-size // part_bytes)


def _file(entry: Any, where: str, part_bytes: int, origins: int) -> File:
    if not isinstance(entry, dict):
        raise _wrong(f"{where} is {_shown(entry)}, not an object")
    path = entry.get("path")
    if not isinstance(path, str) or not is_path(path):
        raise _wrong(f"{where}.path is {_shown(path)}: no path that stays inside the weights folder")
    size = _number(entry, "size", 0, _MAX_FILE_BYTES, where)
    sums = [_sum(entry.get("sha256"), f"{where}.sha256")]
    parts = _list(entry, "parts", part_count(_MAX_FILE_BYTES, part_bytes), where)
    if len(parts) != part_count(size, part_bytes):
        raise _wrong(f"{where}.parts has {len(parts)} sums, and {size:,} bytes have {part_count(size, part_bytes)}")
    sums += [_sum(part, f"{where}.parts") for part in parts]
    origin = entry.get("origin")
    if origin is not None and (type(origin) is not int or not 0 <= origin < origins):
        raise _wrong(f"{where}.origin is {_shown(origin)}, and there are {origins} origins")
    return File(path, size, sums[0], tuple(sums[1:]), origin)


def _origin(entry: Any, place: int) -> Origin:
    if not isinstance(entry, dict):
        raise _wrong(f"origins[{place}] is {_shown(entry)}, not an object")
    texts = []
    for field in ("repo", "revision", "licence"):
        text = entry.get(field)
        if not isinstance(text, str) or len(text) > _MAX_TEXT_CHARS or not text.isprintable():
            raise _wrong(f"origins[{place}].{field} is {_shown(text)}, not a line of text")
        texts.append(text)
    return Origin(*texts)


def _sum(value: Any, where: str) -> str:
    if not isinstance(value, str) or _SHA256.fullmatch(value) is None:
        raise _wrong(f"{where} is {_shown(value)}, not a sha256 in small hexadecimal digits")
    return value


def _list(value: dict[str, Any], field: str, most: int, where: str = "") -> list[Any]:
    found = value.get(field)
    name = f"{where}.{field}".lstrip(".")
    if not isinstance(found, list):
        raise _wrong(f"{name} is {_shown(found)}, not a list")
    if len(found) > most:
        raise _wrong(f"{name} has {len(found):,} entries, and may have {most:,}")
    return found


def _number(value: dict[str, Any], field: str, least: int, most: int, where: str = "") -> int:
    found = value.get(field)
    name = f"{where}.{field}".lstrip(".")
    if type(found) is not int or not least <= found <= most:
        raise _wrong(f"{name} is {_shown(found)}, not a whole number from {least:,} to {most:,}")
    return found


def _shown(value: Any) -> str:
    return ascii(value)[:120]


def _wrong(problem: str) -> TransferError:
    return TransferError(Exit.CONTENT, f"the manifest of the weights cannot be used: {problem}")
