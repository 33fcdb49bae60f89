"""Takes messages when this server can do them, keeps them its own meanwhile, and gives them back when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from speech_server.jobs.work import Fate, Verdict, Work
from speech_server.lane import Lane
from speech_server.queues.base import Message, Queue, QueueError

# A server that is told to end waits for its last poll.
_POLL_SECONDS = 5.0
_IDLE_SECONDS = 0.1
# After a failure of the queue, the store or the engine: the last one repeats.
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_EXTENSIONS_PER_LEASE = 3
_GIVE_BACK_SECONDS = 5.0
# A clip that the engine has begun is finished in a drain as long as it keeps to twice what it was expected to take.
_PATIENCE = 2.0
# What is spoken is written down, and whoever waits for it is told.
_WRITING_SECONDS = 5.0

log = logging.getLogger("speech_server.jobs")


@dataclass(eq=False)
class _Held:
    message: Message
    until: float  # of the monotonic clock: then the lease ends
    task: asyncio.Task[None] | None = None
    begun: float | None = None  # of the monotonic clock: then the engine began with it
    expected_seconds: float = math.inf  # of the engine's work
    spoken: bool = False
    settling: bool = False  # the queue is being told what becomes of it
    lost: bool = False
    # A new lease may come with a new receipt, without which the message cannot be settled.
    receipt: asyncio.Lock = field(default_factory=asyncio.Lock)


def may_go_on_until(now: float, drained: float, begun: float | None, expected_seconds: float, spoken: bool) -> float:
    """Until when a drain leaves a clip in work; `now`: it goes back to the queue at once, where others find it.

    All are times of one clock. `drained`: what is in work then is let go of; `begun`: when the engine began with it,
    None: it waits. Of unknown length (`expected_seconds` infinite), it is not worth a node's last minutes either.
    """
    if spoken:
        return max(now, min(drained, now + _WRITING_SECONDS))
    if begun is None or math.isinf(expected_seconds) or begun + expected_seconds > drained:
        return now
    return max(now, min(drained, begun + _PATIENCE * expected_seconds))


class Runner:
    """`start()` it and `stop()` it. `wants()` says whether the engine is ready and the server is to go on.

    `lease_seconds`: a message whose server died comes back after so long.
    """

    def __init__(
        self,
        queue: Queue,
        work: Work,
        lane: Lane,
        wants: Callable[[], bool],
        lease_seconds: int,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self._queue = queue
        self._work = work
        self._lane = lane
        self._wants = wants
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._places = max(1, lane.batch_room)
        self._held: set[_Held] = set()
        self._changed = asyncio.Event()
        self._failures = 0
        self._ending = False
        self._letting_go: dict[_Held, asyncio.TimerHandle] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def in_hand(self) -> int:
        """Messages that this server has now."""
        return len(self._held)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._take()), asyncio.create_task(self._keep())]

    def drain(self, until: float) -> None:
        """Give back now what cannot be finished by `until` (time.monotonic), and then the rest. What is taken
        meanwhile is for `wants` to say. An earlier end may follow.
        """
        for held in list(self._held):
            self._stay_calm(held)
            self._let_go_when_due(held, until)

    def undrain(self) -> None:
        """What is still in work is finished as ever."""
        for held in list(self._letting_go):
            self._stay_calm(held)

    async def stop(self) -> None:
        """Give back what is in hand, and return when nothing is."""
        self._ending = True
        self._changed.set()
        for held in list(self._held):
            self._let_go(held)
        await asyncio.gather(*self._tasks[:1], return_exceptions=True)
        while self._held:
            await asyncio.wait([held.task for held in self._held if held.task is not None])
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _let_go_when_due(self, held: _Held, drained: float) -> None:
        """Looked at again when its time is up: it may have been spoken meanwhile, and is being written down."""
        now = time.monotonic()
        ends = may_go_on_until(now, drained, held.begun, held.expected_seconds, held.spoken)
        if ends <= now:
            self._let_go(held)
            return
        later = asyncio.get_running_loop().call_later(ends - now, self._let_go_when_due, held, drained)
        self._letting_go[held] = later

    def _let_go(self, held: _Held) -> None:
        if held.task is not None and not held.settling:
            held.task.cancel()

    def _stay_calm(self, held: _Held) -> None:
        timer = self._letting_go.pop(held, None)
        if timer is not None:
            timer.cancel()

    async def _take(self) -> None:
        while not self._ending:
            self._changed.clear()
            room = self._places - sum(not held.spoken for held in self._held)
            if not self._wants() or room < 1:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _IDLE_SECONDS)
                continue
            try:
                messages = await self._queue.receive(room, self._poll_seconds, self._lease_seconds)
            except QueueError as error:
                log.warning("queue_unavailable", extra={"fields": {"reason": str(error)}})
                await self._pause()
                continue
            until = time.monotonic() + self._lease_seconds
            for message in messages:
                held = _Held(message, until)
                self._held.add(held)
                held.task = asyncio.create_task(self._hold(held))
            if self._failures:
                await self._pause_after(messages)

    async def _pause_after(self, messages: list[Message]) -> None:
        """After a failure one message is tried, and only its success brings the next."""
        if messages:
            await self._pause(count=False)

    async def _pause(self, count: bool = True) -> None:
        self._failures += count
        seconds = _PAUSES[min(self._failures, len(_PAUSES)) - 1]
        deadline = time.monotonic() + seconds
        while not self._ending and self._failures and (left := deadline - time.monotonic()) > 0:
            self._changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    async def _hold(self, held: _Held) -> None:
        try:
            verdict = await self._do(held)
            if not held.lost:
                held.settling = True
                async with held.receipt:
                    await self._settle(held.message, verdict)
        finally:
            self._held.discard(held)
            self._stay_calm(held)
            self._changed.set()

    async def _do(self, held: _Held) -> Verdict:
        try:
            verdict = Verdict(Fate.GIVE_BACK)
            if not self._ending and self._wants():
                verdict = await self._work.do(
                    held.message, lambda: self._mark_spoken(held), lambda seconds: self._mark_begun(held, seconds)
                )
        except asyncio.CancelledError:
            return Verdict(Fate.GIVE_BACK)
        self._failures = self._failures + 1 if verdict.fate is Fate.GIVE_BACK else 0
        return verdict

    async def _settle(self, message: Message, verdict: Verdict) -> None:
        calls = {
            Fate.DONE: lambda: self._queue.delete(message),
            Fate.RETRY: lambda: self._queue.retry(message, verdict.seconds),
            Fate.GIVE_BACK: lambda: self._queue.give_back(message),
            # Without a delay: the queue moves it to its dead letters when it is to be received once more.
            Fate.DEAD: lambda: self._queue.retry(message, 0),
        }
        try:
            await asyncio.wait_for(calls[verdict.fate](), _GIVE_BACK_SECONDS)
        except (QueueError, asyncio.TimeoutError) as error:
            # It comes back by itself when the lease ends, and what was written down is not done twice.
            fields = {"message": message.id, "fate": verdict.fate.name, "reason": str(error)}
            log.warning("job_message_not_settled", extra={"fields": fields})

    def _mark_begun(self, held: _Held, expected_seconds: float) -> None:
        held.begun, held.expected_seconds = time.monotonic(), expected_seconds

    def _mark_spoken(self, held: _Held) -> None:
        held.spoken = True
        self._changed.set()

    async def _keep(self) -> None:
        """Extend every lease in good time."""
        while True:
            await asyncio.sleep(self._lease_seconds / _EXTENSIONS_PER_LEASE)
            await asyncio.gather(*(self._extend(held) for held in list(self._held)))

    async def _extend(self, held: _Held) -> None:
        async with held.receipt:
            if held in self._held:
                await self._extend_locked(held)

    async def _extend_locked(self, held: _Held) -> None:
        asked = time.monotonic()
        try:
            kept = await self._queue.extend(held.message, self._lease_seconds)
        except QueueError as error:
            log.warning("job_lease_not_extended", extra={"fields": {"reason": str(error)}})
            if time.monotonic() < held.until:
                return  # there are more tries before it ends
            kept = None
        if kept is not None:
            held.message, held.until = kept, asked + self._lease_seconds
            return
        # Another server has it: what was begun here must not be finished twice.
        log.warning("job_lease_lost", extra={"fields": {"message": held.message.id}})
        held.lost = True
        if held.task is not None:
            held.task.cancel()
