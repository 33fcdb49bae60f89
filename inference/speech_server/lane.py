"""The lane in front of the engine: one call at a time, interactive before batch, and honest about the wait."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from speech_server.estimate import RealTimeFactor


class Priority(enum.IntEnum):
    """Lower goes first; first come, first served inside each."""

    INTERACTIVE = 0
    BATCH = 1


class LaneFullError(Exception):
    """The wait would be `wait_seconds`, longer than the lane's limit."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"{wait_seconds:.1f} s")
        self.wait_seconds = wait_seconds


@dataclass(eq=False)
class _Waiter:
    audio_seconds: float
    turn: asyncio.Future[None]


class Lane:
    """`async with lane.turn(audio_seconds)`: the body runs when it is its turn, and nothing else runs meanwhile."""

    def __init__(
        self, speed: RealTimeFactor, max_wait_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._speed = speed
        self._max_wait_seconds = max_wait_seconds
        self._clock = clock
        self._queues: dict[Priority, deque[_Waiter]] = {priority: deque() for priority in Priority}
        self._running: _Waiter | None = None
        self._running_since = 0.0

    @property
    def depth(self) -> int:
        """Calls that wait, the running one not among them."""
        return sum(len(queue) for queue in self._queues.values())

    def wait_seconds(self, priority: Priority = Priority.INTERACTIVE) -> float:
        """What a call that comes now would wait: what is left of the running one and all that goes before it."""
        queued = sum(waiter.audio_seconds for level in Priority if level <= priority for waiter in self._queues[level])
        return self._running_left() + queued * self._speed.value

    def check(self, priority: Priority = Priority.INTERACTIVE) -> None:
        """Raises LaneFullError if a call that comes now would wait too long."""
        wait = self.wait_seconds(priority)
        if wait > self._max_wait_seconds:
            raise LaneFullError(wait)

    @contextlib.asynccontextmanager
    async def turn(self, audio_seconds: float, priority: Priority = Priority.INTERACTIVE) -> AsyncGenerator[None]:
        """Raises LaneFullError at once if the wait would be too long. Cancelled while it waits, a call just leaves."""
        self.check(priority)
        waiter = _Waiter(audio_seconds, asyncio.get_running_loop().create_future())
        if self._running is None:
            self._start(waiter)
        else:
            self._queues[priority].append(waiter)
        try:
            await waiter.turn
            yield
        finally:
            if self._running is waiter:
                self._start_next()
            else:
                self._queues[priority].remove(waiter)

    def _running_left(self) -> float:
        if self._running is None:
            return 0.0
        elapsed = self._clock() - self._running_since
        return max(0.0, self._running.audio_seconds * self._speed.value - elapsed)

    def _start_next(self) -> None:
        self._running = None
        for priority in Priority:
            if self._queues[priority]:
                self._start(self._queues[priority].popleft())
                return

    def _start(self, waiter: _Waiter) -> None:
        self._running = waiter
        self._running_since = self._clock()
        if not waiter.turn.done():
            waiter.turn.set_result(None)
