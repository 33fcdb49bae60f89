"""Ending what a task waits for from outside, with an exception, and without a task of its own for the wait."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Interrupt:
    """`await interrupt.run(work)`; meanwhile, from the same loop, `interrupt(error)` makes it raise `error`.

    The work is cancelled and has ended when `run` raises. An interrupt that comes after the work has ended is too late
    and does nothing.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._error: Exception | None = None

    def __call__(self, error: Exception) -> None:
        if self._task is not None and self._error is None:
            self._error = error
            self._task.cancel()

    async def run(self, work: Awaitable[T]) -> T:
        self._task = asyncio.current_task()
        try:
            result = await work
        except asyncio.CancelledError:
            if self._error is None:
                raise
            self._withdraw()
            raise self._error from None
        except BaseException:
            await self._absorb()
            raise
        finally:
            self._task = None
        if self._error is not None:
            await self._absorb()
            raise self._error
        return result

    async def _absorb(self) -> None:
        """The work ended of itself in the moment of the interrupt: its cancel is still to come."""
        if self._error is None:
            return
        self._withdraw()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    def _withdraw(self) -> None:
        """Take our cancel back. Raises CancelledError if somebody else wants the task to end as well."""
        if sys.version_info < (3, 11):
            return
        task = asyncio.current_task()
        if task is not None and task.uncancel() > 0:
            raise asyncio.CancelledError
