"""Threads that do one piece of work together: when one fails, or the user wants no more of it, all end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Stop = threading.Event


class StoppedError(Exception):
    """Another part of the same work failed, or its user wants no more of it."""


def check_stop(stop: Stop) -> None:
    """Raises StoppedError."""
    if stop.is_set():
        raise StoppedError


def run_together(threads: int, run: Callable[[Stop], None], stop: Stop) -> None:
    """Runs it in so many threads until all return. If one fails, or this thread is interrupted, the event that they
    were given is set; the first failure is raised when all have ended.
    """
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            run(stop)
        except StoppedError:
            return
        except BaseException as error:
            failures.append(error)
            stop.set()

    with ThreadPoolExecutor(threads, "weights") as pool:
        futures = [pool.submit(guarded) for _ in range(threads)]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            raise
    if failures:
        raise failures[0]
    check_stop(stop)
