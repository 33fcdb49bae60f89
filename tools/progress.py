"""What a person sees while set-up works: one line a step, and a sign of life in a long one."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TextIO

# In a log file a sign of life is a line of its own, so it comes rarely.
SECONDS_BETWEEN_LOG_LINES = 30.0


class Step:
    """One step: a heading once there is something to say under it, else a single line at its end."""

    def __init__(self, title: str, stream: TextIO) -> None:
        self._title = title
        self._stream = stream
        self._terminal = stream.isatty()
        self._started = time.monotonic()
        self._last_sign = self._started
        self._headed = False
        self._live = False
        self._result = "done"

    def say(self, text: str) -> None:
        """A line that stays."""
        self._head()
        self._clear()
        self._print("".join(f"    {line}\n" for line in text.splitlines()))

    def live(self, text: str) -> None:
        """What goes on now: on a terminal it replaces the last such text, in a log it is a line now and then."""
        now = time.monotonic()
        if self._terminal:
            self._head()
            self._clear()
            self._print(f"    {text[:100]} ({now - self._started:.0f} s)")
            self._live = True
            return
        if now - self._last_sign >= SECONDS_BETWEEN_LOG_LINES:
            self._last_sign = now
            self._head()
            self._print(f"    {text} ({now - self._started:.0f} s)\n")

    def done(self, result: str) -> None:
        """What came of it; shown when the step ends."""
        self._result = result

    def end(self) -> None:
        self._clear()
        seconds = time.monotonic() - self._started
        line = f"    {self._result}" if self._headed else f"==> {self._title}: {self._result}"
        self._print(f"{line} ({seconds:.1f} s)\n")

    def abandon(self) -> None:
        """The step failed: leave the terminal's line clean for the error."""
        self._clear()

    def _head(self) -> None:
        if not self._headed:
            self._headed = True
            self._print(f"==> {self._title}\n")

    def _clear(self) -> None:
        if self._live:
            self._live = False
            self._print("\r\033[K")

    def _print(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


@contextmanager
def step(title: str, stream: TextIO | None = None) -> Generator[Step, None, None]:
    """A step with this title: `==> title: result (seconds)`."""
    current = Step(title, stream or sys.stdout)
    try:
        yield current
    except BaseException:
        current.abandon()
        raise
    current.end()
