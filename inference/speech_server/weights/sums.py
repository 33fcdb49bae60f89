"""The sums of a file, made while its bytes go by: of the whole, and of each part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speech_server.weights.manifest import PART_BYTES

_READ_BYTES = 4 << 20


@dataclass(frozen=True)
class Sums:
    """`size` in bytes; sums in hexadecimal digits; `git` is what Git calls the file, "" if nobody asked."""

    size: int
    sha256: str
    parts: tuple[str, ...]
    git: str


class Summing:
    """Fed a file from its first byte on. `git_size`: make the sum of Git's too, a sha1 over that size and the bytes."""

    def __init__(self, git_size: int | None = None) -> None:
        self.size = 0
        self._whole = hashlib.sha256()
        self._part = hashlib.sha256()
        self._parts: list[str] = []
        blob = b"" if git_size is None else b"blob %d\0" % git_size
        self._git = hashlib.sha1(blob, usedforsecurity=False) if blob else None

    def update(self, data: bytes) -> None:
        self._whole.update(data)
        if self._git is not None:
            self._git.update(data)
        view = memoryview(data)
        while view:
            taken = min(len(view), PART_BYTES - self.size % PART_BYTES)
            self._part.update(view[:taken])
            self.size += taken
            view = view[taken:]
            if self.size % PART_BYTES == 0:
                self._end_part()

    def finish(self) -> Sums:
        if self.size % PART_BYTES:
            self._end_part()
        return Sums(self.size, self._whole.hexdigest(), tuple(self._parts), self._git.hexdigest() if self._git else "")

    def _end_part(self) -> None:
        self._parts.append(self._part.hexdigest())
        self._part = hashlib.sha256()


def sums_of(path: Path, passed: Callable[[int], None]) -> Sums:
    """Reads the whole file; `passed` is given the bytes of each step. Raises OSError."""
    with path.open("rb") as file:
        summing = Summing()
        while data := file.read(_READ_BYTES):
            summing.update(data)
            passed(len(data))
    return summing.finish()


def sha256_of(path: Path, passed: Callable[[int], None]) -> str:
    """Only the sum of the whole: about half the work of `sums_of`. Raises OSError."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            whole.update(data)
            passed(len(data))
    return whole.hexdigest()
