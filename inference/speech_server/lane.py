"""The lane in front of the engines: a call for each that is warm, interactive before batch, a fair share for every
client.

Inside a priority the client that had least of the engines goes next, so a client with a thousand requests delays
another's single request by one call and no more. While interactive work never ends, batch work still gets a tenth of
the engines' time.

Calls that take no time to speak of are let through to a lone engine ahead of their turn, a hundredth of a second's
worth at most: an engine that finds its next call already there does not wait for this process to be told and to answer,
which takes as long as such a call. They delay whoever comes next by no more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

from speech_server.estimates.speed import RealTimeFactor
from speech_server.fair_queue import FairQueue, Priority, Turn

# Seconds of interactive speech, while batch work waits, for a second of batch speech.
_INTERACTIVE_PER_BATCH = 9.0
# Clips of jobs that are here beside the ones that the engines speak: one waits, one is being prepared or encoded.
_BATCH_CLIPS_BESIDE = 2
# Calls that may wait before the engine's speed was measured: a guess may be wrong by a factor of ten either way.
_GUESSED_CALLS = 4
# What the engines may have been given at once, all of it together, for one more to be let through ahead of its turn.
_AHEAD_SECONDS = 0.01
_AHEAD_CALLS = 15


class LaneFullError(Exception):
    """The wait would be `wait_seconds`, `excess_seconds` more than allowed."""

    def __init__(self, wait_seconds: float, excess_seconds: float) -> None:
        super().__init__(f"{wait_seconds:.1f} s")
        self.wait_seconds = wait_seconds
        self.excess_seconds = excess_seconds


class TooLateError(Exception):
    """The call could not be done before its deadline any more."""


def _one() -> int:
    return 1


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Engines:
    """What the lane is in front of. `warm()` of the `number` engines can be asked now; `crowded()` is called when a
    call comes and all of them are taken.
    """

    number: int = 1
    warm: Callable[[], int] = _one
    crowded: Callable[[], None] = _nothing


ONE_ENGINE = Engines()


class Lane:
    """`turn = await lane.enter(...)`, and `lane.leave(turn)`: between the two one engine is the turn's, whichever.

    As many turns run at once as engines are warm. One at least always does: while none is warm, whoever has it waits.
    A turn that came `ahead` has an engine to itself when one of these has ended.
    """

    def __init__(
        self,
        speed: RealTimeFactor,
        max_wait_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        engines: Engines = ONE_ENGINE,
    ) -> None:
        self._speed = speed
        self._max_wait_seconds = max_wait_seconds
        self._clock = clock
        self._engines = engines
        self._queues = {priority: FairQueue() for priority in Priority}
        self._running: dict[Turn, None] = {}
        self._ahead: dict[Turn, None] = {}  # let through, and behind the running ones: first come, first served
        self._arrivals = 0
        self._interactive_meanwhile = 0.0  # audio seconds of interactive turns while batch work waited
        self._batch_clips = 0
        self._batch_place = asyncio.Event()
        self._batch_place.set()

    @property
    def depth(self) -> int:
        """Calls that wait, the running ones not among them."""
        return sum(queue.depth for queue in self._queues.values())

    def queued_audio_seconds(self, priority: Priority) -> float:
        """Speech that waits, the running calls' not included."""
        return self._queues[priority].audio_seconds

    def work_seconds(self) -> float:
        """The engines' time for all that is here, shared among them: what is left of the running calls, and everything
        that waits.
        """
        queued = sum(queue.audio_seconds for queue in self._queues.values()) + _audio_seconds(self._ahead)
        return (sum(self._running_left()) + queued * self._speed.value) / self._places()

    def wait_seconds(self, client: str, priority: Priority = Priority.INTERACTIVE) -> float:
        """What a call of `client` that comes now would wait at most, if nobody comes after it who had less."""
        if len(self._running) < self._places():
            return 0.0
        interactive, batch = self._queues[Priority.INTERACTIVE], self._queues[Priority.BATCH]
        if priority is Priority.BATCH:
            queued = interactive.audio_seconds + batch.before(client)
        else:
            queued = interactive.before(client)
            queued += min(batch.audio_seconds, (self._interactive_meanwhile + queued) / _INTERACTIVE_PER_BATCH)
        queued += _audio_seconds(self._ahead)
        left = self._running_left()
        if not queued and len(left) == self._places():
            return min(left)
        # Whatever the order, the first engine to be free of what goes before is so no later than they are on average.
        return (sum(left) + queued * self._speed.value) / self._places()

    def check(self, client: str, seconds_left: float | None = None) -> None:
        """Raises LaneFullError if an interactive call that comes now would wait longer than the limit, or longer than
        its `seconds_left`. While the speed is a guess, a few may wait whatever it says.
        """
        wait = self.wait_seconds(client)
        limit = self._max_wait_seconds if seconds_left is None else min(self._max_wait_seconds, max(0.0, seconds_left))
        believed = self._speed.sure or self.depth >= _GUESSED_CALLS or limit <= 0
        if wait > limit and believed:
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
        if turn.came.done():
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
        if turn in self._running:
            del self._running[turn]
            queue.settle(turn, (self._clock() - turn.since) / self._speed.value)
        elif turn in self._ahead:
            del self._ahead[turn]
            queue.settle(turn, 0.0)
        else:
            queue.remove(turn)
            return
        self.refresh()

    def refresh(self) -> None:
        """Give out the turns that there are places for: to be called when an engine became warm."""
        while self._ahead and len(self._running) < self._places():
            turn = next(iter(self._ahead))
            del self._ahead[turn]
            self._run(turn)
        while (following := self._next()) is not None and self._has_place(following):
            self._queues[following.priority].remove(following)
            self._start(following)

    @property
    def batch_room(self) -> int:
        """Clips of jobs that this server would take now, beside those that it has."""
        return max(0, self._engines.number + _BATCH_CLIPS_BESIDE - self._batch_clips)

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

    def _places(self) -> int:
        """Turns that may run now."""
        return self._engines.warm() or 1

    def _running_left(self) -> list[float]:
        """Seconds that each running call is expected to take still."""
        now, speed = self._clock(), self._speed.value
        return [max(0.0, turn.audio_seconds * speed - (now - turn.since)) for turn in self._running]

    def _has_place(self, turn: Turn) -> bool:
        """Whether it may start now: an engine is free, or will be in no time."""
        if len(self._running) < self._places():
            return True
        # Of several engines, another than the one that it would wait for might be free sooner.
        if self._engines.number > 1 or len(self._ahead) >= _AHEAD_CALLS or not self._speed.sure:
            return False
        given = _audio_seconds(self._running) + _audio_seconds(self._ahead) + turn.audio_seconds
        return given * self._speed.value <= _AHEAD_SECONDS

    def _arrive(self, client: str, audio_seconds: float, priority: Priority) -> Turn:
        self._arrivals += 1
        came = asyncio.get_running_loop().create_future()
        turn = Turn(client, priority, audio_seconds, self._arrivals, came)
        if not self.depth and self._has_place(turn):
            self._start(turn)
        else:
            self._queues[priority].add(turn)
            if len(self._running) < self._places():
                self.refresh()
            else:
                self._engines.crowded()
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
        if len(self._running) < self._places():
            self._run(turn)
        else:
            turn.ahead = True
            self._ahead[turn] = None
        if not turn.came.done():
            turn.came.set_result(None)

    def _run(self, turn: Turn) -> None:
        turn.since = self._clock()
        self._running[turn] = None


def _audio_seconds(turns: Iterable[Turn]) -> float:
    return sum(turn.audio_seconds for turn in turns)


def _give_up(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_exception(TooLateError())
