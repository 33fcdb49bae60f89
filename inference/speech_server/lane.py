"""The lane in front of the engine: one call at a time, interactive before batch, a fair share for every client.

Inside a priority the client that had least of the engine goes next (start-time fair queueing: Goyal, Vin and Cheng,
1996), so a client with a thousand requests delays another's single request by one call and no more. While interactive
work never ends, batch work still gets a tenth of the engine's time.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from speech_server.estimate import RealTimeFactor

# Seconds of interactive speech, while batch work waits, for a second of batch speech.
_INTERACTIVE_PER_BATCH = 9.0
# Clips of jobs that are here at once: one is spoken, one waits, one is being prepared or encoded.
_BATCH_CLIPS = 3


class Priority(enum.IntEnum):
    """Lower goes first."""

    INTERACTIVE = 0
    BATCH = 1


class LaneFullError(Exception):
    """The wait would be `wait_seconds`, `excess_seconds` more than allowed."""

    def __init__(self, wait_seconds: float, excess_seconds: float) -> None:
        super().__init__(f"{wait_seconds:.1f} s")
        self.wait_seconds = wait_seconds
        self.excess_seconds = excess_seconds


class TooLateError(Exception):
    """The call could not be done before its deadline any more."""


@dataclass(eq=False)
class Turn:
    """A call's place in the lane, from its arrival on."""

    client: str
    priority: Priority
    audio_seconds: float
    number: int  # in order of arrival
    came: asyncio.Future[None]


@dataclass
class _Queue:
    """The turns of one priority. `had`: a client's share so far, in audio seconds of virtual time; `now`: the share
    of whoever had the last turn, which is what a client that comes (back) starts with, so that nobody saves up.
    """

    turns: dict[str, deque[Turn]] = field(default_factory=dict)
    had: dict[str, float] = field(default_factory=dict)
    now: float = 0.0
    depth: int = 0
    audio_seconds: float = 0.0  # of all who wait
    _own: dict[str, float] = field(default_factory=dict)  # audio seconds of each client's that wait

    def before(self, client: str) -> float:
        """Audio seconds of those that go before a call of `client` that comes now."""
        if len(self.turns) == (client in self.turns):
            return self.audio_seconds  # nobody else waits
        own = self._own.get(client, 0.0)
        start = self._start_of(client) + own
        total = own
        for other, line in self.turns.items():
            if other == client:
                continue
            share = self.had[other]
            for turn in line:
                if share > start:
                    break
                share += turn.audio_seconds
                total += turn.audio_seconds
        return total

    def add(self, turn: Turn) -> None:
        if turn.client not in self.turns:
            self.had[turn.client] = self._start_of(turn.client)
            self.turns[turn.client] = deque()
            self._own[turn.client] = 0.0
        self.turns[turn.client].append(turn)
        self._own[turn.client] += turn.audio_seconds
        self.audio_seconds += turn.audio_seconds
        self.depth += 1

    def first(self) -> Turn | None:
        if not self.turns:
            return None
        if len(self.turns) == 1:
            return next(iter(self.turns.values()))[0]
        client = min(self.turns, key=lambda name: (self.had[name], self.turns[name][0].number))
        return self.turns[client][0]

    def remove(self, turn: Turn) -> None:
        line = self.turns[turn.client]
        line.remove(turn)
        self._own[turn.client] -= turn.audio_seconds
        self.audio_seconds -= turn.audio_seconds
        self.depth -= 1
        if not line:
            del self.turns[turn.client], self._own[turn.client]
        if not self.turns:
            self.audio_seconds = 0.0  # and not what rounding left

    def start(self, turn: Turn) -> None:
        """It has its turn, and pays what it is expected to take."""
        start = self._start_of(turn.client)
        self.now = max(self.now, start)
        self.had[turn.client] = start + turn.audio_seconds

    def settle(self, turn: Turn, audio_seconds: float) -> None:
        """It took the engine's time for so much, whatever was expected."""
        self.had[turn.client] += audio_seconds - turn.audio_seconds

    def _start_of(self, client: str) -> float:
        return self.had[client] if client in self.turns else max(self.now, self.had.get(client, 0.0))


class Lane:
    """`turn = await lane.enter(...)`, and `lane.leave(turn)`: between the two nothing else runs."""

    def __init__(
        self, speed: RealTimeFactor, max_wait_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._speed = speed
        self._max_wait_seconds = max_wait_seconds
        self._clock = clock
        self._queues = {priority: _Queue() for priority in Priority}
        self._running: Turn | None = None
        self._running_since = 0.0
        self._arrivals = 0
        self._interactive_meanwhile = 0.0  # audio seconds of interactive turns while batch work waited
        self._batch_clips = 0
        self._batch_place = asyncio.Event()
        self._batch_place.set()

    @property
    def depth(self) -> int:
        """Calls that wait, the running one not among them."""
        return sum(queue.depth for queue in self._queues.values())

    def queued_audio_seconds(self, priority: Priority) -> float:
        """Speech that waits, the running call's not included."""
        return self._queues[priority].audio_seconds

    def work_seconds(self) -> float:
        """The engine's time for all that is here: what is left of the running call, and everything that waits."""
        queued = sum(queue.audio_seconds for queue in self._queues.values())
        return self._running_left() + queued * self._speed.value

    def wait_seconds(self, client: str, priority: Priority = Priority.INTERACTIVE) -> float:
        """What a call of `client` that comes now would wait, if nobody comes after it who had less."""
        if self._running is None:
            return 0.0
        interactive, batch = self._queues[Priority.INTERACTIVE], self._queues[Priority.BATCH]
        if priority is Priority.BATCH:
            queued = interactive.audio_seconds + batch.before(client)
        else:
            queued = interactive.before(client)
            queued += min(batch.audio_seconds, (self._interactive_meanwhile + queued) / _INTERACTIVE_PER_BATCH)
        return self._running_left() + queued * self._speed.value

    def check(self, client: str, seconds_left: float | None = None) -> None:
        """Raises LaneFullError if an interactive call that comes now would wait longer than the limit, or longer than
        its `seconds_left`.
        """
        wait = self.wait_seconds(client)
        limit = self._max_wait_seconds if seconds_left is None else min(self._max_wait_seconds, max(0.0, seconds_left))
        if wait > limit:
            raise LaneFullError(wait, wait - limit)

    async def enter(
        self,
        client: str,
        audio_seconds: float,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
    ) -> Turn:
        """Waits for its turn, which lasts until `leave`. `deadline` is of the lane's clock, for the end of the work.

        Raises LaneFullError at once if an interactive call would wait too long, TooLateError when it can no longer be
        done by its deadline. Cancelled while it waits, a call just goes away.
        """
        expected = audio_seconds * self._speed.value if self._speed.sure else 0.0
        latest_start = None if deadline is None else deadline - expected
        if priority is Priority.INTERACTIVE:
            self.check(client, None if latest_start is None else latest_start - self._clock())
        turn = self._arrive(client, audio_seconds, priority)
        if turn is self._running:
            return turn
        alarm = None
        if latest_start is not None:
            delay = max(0.0, latest_start - self._clock())
            alarm = asyncio.get_running_loop().call_later(delay, _give_up, turn.came)
        try:
            await turn.came
        except BaseException:
            self.leave(turn)
            raise
        finally:
            if alarm is not None:
                alarm.cancel()
        return turn

    def leave(self, turn: Turn) -> None:
        """The call is over, or waits no longer: the next one's turn."""
        queue = self._queues[turn.priority]
        if self._running is not turn:
            queue.remove(turn)
            return
        queue.settle(turn, (self._clock() - self._running_since) / self._speed.value)
        self._running = None
        following = self._next()
        if following is not None:
            self._queues[following.priority].remove(following)
            self._start(following)

    @property
    def batch_room(self) -> int:
        """Clips of jobs that this server would take now, beside those that it has."""
        return max(0, _BATCH_CLIPS - self._batch_clips)

    async def wait_for_batch_room(self) -> None:
        """Returns when `batch_room` is at least 1."""
        await self._batch_place.wait()

    @contextlib.contextmanager
    def batch_clip(self) -> Generator[None]:
        """A clip of a job is in work in the body."""
        self._count_batch(1)
        try:
            yield
        finally:
            self._count_batch(-1)

    def _count_batch(self, change: int) -> None:
        self._batch_clips += change
        if self.batch_room:
            self._batch_place.set()
        else:
            self._batch_place.clear()

    def _running_left(self) -> float:
        if self._running is None:
            return 0.0
        elapsed = self._clock() - self._running_since
        return max(0.0, self._running.audio_seconds * self._speed.value - elapsed)

    def _arrive(self, client: str, audio_seconds: float, priority: Priority) -> Turn:
        self._arrivals += 1
        came = asyncio.get_running_loop().create_future()
        turn = Turn(client, priority, audio_seconds, self._arrivals, came)
        if self._running is None:
            self._start(turn)
        else:
            self._queues[priority].add(turn)
        return turn

    def _next(self) -> Turn | None:
        interactive = self._queues[Priority.INTERACTIVE].first()
        batch = self._queues[Priority.BATCH].first()
        if interactive is None or batch is None:
            return interactive or batch
        due = self._interactive_meanwhile >= _INTERACTIVE_PER_BATCH * batch.audio_seconds
        return batch if due else interactive

    def _start(self, turn: Turn) -> None:
        self._queues[turn.priority].start(turn)
        if turn.priority is Priority.BATCH or not self._queues[Priority.BATCH].depth:
            self._interactive_meanwhile = 0.0
        else:
            self._interactive_meanwhile += turn.audio_seconds
        self._running = turn
        self._running_since = self._clock()
        if not turn.came.done():
            turn.came.set_result(None)


def _give_up(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_exception(TooLateError())
