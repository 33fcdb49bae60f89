"""How a tool stops: one text that says what is wrong and what to do, and an exit status."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

INTERRUPTED = 128 + signal.SIGINT


class SetupError(Exception):
    """What went wrong and what to do about it, for a person to read. `status` becomes the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def exit_status(main: Callable[[list[str]], int | None], arguments: list[str]) -> int:
    """Runs `main`, prints a failure without a traceback, and gives the exit status."""
    try:
        return main(arguments) or 0
    except SetupError as failure:
        sys.stdout.flush()
        print(f"\nerror: {failure}", file=sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
