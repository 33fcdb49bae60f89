"""A server on its way out of service: who asked for it, until when, and what is let go of when the time is up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from speech_server.readiness import Readiness

# Of a notice by which the whole process must be gone: to cancel the engine's call, give jobs back, and write the last
# of usage and log to the store, each of which has five seconds at most and takes a fraction of one.
_LAST_SECONDS = 10.0
_POLL_SECONDS = 0.05
# What is let go of is answered within this: the engine has a second for it.
_LET_GO_SECONDS = 2.0


class Requests(Protocol):
    """What is being answered. `let_go()` has each of them answered 503 now."""

    @property
    def in_progress(self) -> int: ...

    def let_go(self) -> None: ...


class Jobs(Protocol):
    """The jobs in hand. `drain(until)` gives back at once what cannot be finished by then (time.monotonic)."""

    @property
    def in_hand(self) -> int: ...

    def drain(self, until: float) -> None: ...

    def undrain(self) -> None: ...


@dataclass(frozen=True)
class Notice:
    """`seconds` from now what is in progress is let go of. `stay`: the process goes on, out of service."""

    reason: str
    seconds: float
    stay: bool = False


class TooLateToStayError(Exception):
    """The process is ending, and nobody can take that back."""


def work_seconds(within: float) -> float:
    """What work may take of a notice of `within` seconds, so that the process is gone when it ends."""
    return max(0.0, within - min(_LAST_SECONDS, within / 2))


def combined(first: Notice, first_ends: float, second: Notice, now: float) -> tuple[Notice, float]:
    """Of two notices the earlier end counts, and nobody stays whom one of them wants gone.

    `first_ends`: when the first one's time is up; of one that stayed and whose time is long up, nothing counts any
    more. Returns the notice to follow, and when its time is up.
    """
    leading = second if first.stay and not second.stay else first
    over = first.stay and first_ends <= now
    ends = now + second.seconds if over else min(first_ends, now + second.seconds)
    return Notice(leading.reason, leading.seconds, first.stay and second.stay), ends


class Drain:
    """Of one server. `begin()` may come several times, from anybody; `ending` is set once the process is to end.

    `longest_seconds`: no notice gives more.
    """

    def __init__(
        self,
        readiness: Readiness,
        requests: Requests,
        jobs: Jobs | None,
        longest_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.notice: Notice | None = None
        self.ending = asyncio.Event()
        self.longest_seconds = longest_seconds
        self._readiness = readiness
        self._requests = requests
        self._jobs = jobs
        self._clock = clock
        self._ends = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._time_is_up = asyncio.Event()

    @property
    def requests_in_progress(self) -> int:
        return self._requests.in_progress

    @property
    def jobs_in_hand(self) -> int:
        return 0 if self._jobs is None else self._jobs.in_hand

    @property
    def idle(self) -> bool:
        return not self.requests_in_progress and not self.jobs_in_hand

    @property
    def seconds_left(self) -> float:
        """Until what is in progress is let go of; 0 in a server that does not drain."""
        return 0.0 if self.notice is None else max(0.0, self._ends - self._clock())

    def begin(self, notice: Notice) -> None:
        """From now on no new work is wanted, and what cannot be finished goes back."""
        now = self._clock()
        notice = Notice(notice.reason, min(notice.seconds, self.longest_seconds), notice.stay)
        if self.notice is None:
            self.notice, self._ends = notice, now + notice.seconds
        else:
            self.notice, self._ends = combined(self.notice, self._ends, notice, now)
        self._time_is_up.clear()
        self._readiness.begin_drain(self.notice.reason)
        if self._jobs is not None:
            self._jobs.drain(self._ends)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, self._ends - now), self._let_go)
        if not self.notice.stay:
            self.ending.set()

    def withdraw(self) -> None:
        """Back into service. Raises TooLateToStayError for a process that is ending."""
        if self.ending.is_set():
            raise TooLateToStayError
        if self.notice is None:
            return
        assert self._timer is not None
        self._timer.cancel()
        self.notice = None
        self._time_is_up.clear()
        self._readiness.end_drain()
        if self._jobs is not None:
            self._jobs.undrain()

    async def until_idle(self) -> None:
        """Returns when nothing is in progress any more: at the latest a moment after the time is up."""
        while not self.idle and not self._time_is_up.is_set():
            await asyncio.sleep(_POLL_SECONDS)
        last = self._clock() + _LET_GO_SECONDS
        while not self.idle and self._clock() < last:
            await asyncio.sleep(_POLL_SECONDS)

    def _let_go(self) -> None:
        self._time_is_up.set()
        self._requests.let_go()
