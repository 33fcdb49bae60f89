"""Running a long command while watching its output."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TAIL_LINES = 40


@dataclass(frozen=True)
class Finished:
    """How a followed command ended: its exit status and the last lines of its output."""

    status: int
    tail: tuple[str, ...]
    timed_out: bool = False

    def last(self, lines: int) -> str:
        """The last lines, indented, for an error text."""
        return "\n".join(f"    {line}" for line in self.tail[-lines:])


def follow(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit: float | None = None,
) -> Finished:
    """Runs `command` and calls `on_line` with each line of its output, and with "" for each second of silence.

    `limit` is in seconds, for the whole run. A Ctrl-C reaches the command too (it is in the terminal's process group):
    it is waited for, then the interrupt goes on.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=None if env is None else dict(env),
        cwd=cwd,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    deadline = None if limit is None else time.monotonic() + limit
    try:
        while True:
            if deadline is not None and time.monotonic() > deadline:
                _stop(process)
                return Finished(process.wait(), tuple(tail), timed_out=True)
            try:
                line = lines.get(timeout=1.0)
            except queue.Empty:
                on_line("")
                continue
            if line is None:
                return Finished(process.wait(), tuple(tail))
            if line.strip():
                tail.append(line)
                on_line(line)
    except BaseException:
        _stop(process)
        raise


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends the command: politely, then for certain."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
