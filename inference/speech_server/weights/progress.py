"""How far a transfer is: one line that is rewritten on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TextIO

_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0
_GB = 1e9


class Progress:
    """Counted by many threads. `total` may be set when it is known."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._clock = clock
        self._lock = threading.Lock()
        self._shown_at = clock()
        self._line_is_open = False
        self.begin("", 0)

    def begin(self, stage: str, total: int) -> None:
        """`total` in bytes; what was counted before belongs to an earlier stage."""
        with self._lock:
            self.stage, self.total, self.done = stage, total, 0
            self._moved = 0
            self._began = self._clock()

    def found(self, count: int) -> None:
        """Bytes that were there already: they do not count for the speed."""
        self._count(count, 0)

    def moved(self, count: int) -> None:
        """Bytes that were transferred; a negative count takes back what must be done again."""
        self._count(count, count)

    def say(self, text: str) -> None:
        """A line of its own."""
        with self._lock:
            self._close_line()
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def end(self) -> float:
        """Closes the line; the stage's seconds."""
        with self._lock:
            self._close_line()
            return self._clock() - self._began

    def _count(self, done: int, moved: int) -> None:
        with self._lock:
            self.done += done
            self._moved += moved
            now = self._clock()
            if now - self._shown_at < (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS):
                return
            self._shown_at = now
            line = progress_line(self.stage, self.done, self.total, self._moved / max(now - self._began, 1e-3))
            if self._terminal:
                self._stream.write(f"\r\x1b[K{line}")
                self._line_is_open = True
            else:
                self._stream.write(f"{line}\n")
            self._stream.flush()

    def _close_line(self) -> None:
        if self._line_is_open:
            self._stream.write("\r\x1b[K")
            self._line_is_open = False


def progress_line(stage: str, done: int, total: int, bytes_per_second: float) -> str:
    """ "download: 3.10 of 9.20 GB (33 %), 412 MB/s, 15 s left" """
    share = f" ({100 * done // total} %)" if total else ""
    left = f", {(total - done) / bytes_per_second:.0f} s left" if bytes_per_second >= 1 and total > done else ""
    return f"{stage}: {done / _GB:.2f} of {total / _GB:.2f} GB{share}, {bytes_per_second / 1e6:.0f} MB/s{left}"


def gigabytes(size: int) -> str:
    return f"{size / _GB:.2f} GB" if size >= 10_000_000 else f"{size:,} bytes"
