"""The calls that an engine process was given, in the order in which it does them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from speech_server.engines.base import Spoken


class EngineFaultError(Exception):
    """The engine process died, hung, failed or spoke nonsense."""

    def __init__(self, reason: str, out_of_memory: bool = False) -> None:
        super().__init__(reason)
        self.out_of_memory = out_of_memory


class NotBegunError(EngineFaultError):
    """It did so at a call before this one, or ended before this one's turn: another engine may be asked."""


@dataclass(eq=False, slots=True)
class Call:
    """`answer` is None for a call that was cancelled. `parts`, of one that is done `in_parts`, are there before it;
    `news` tells of either.
    """

    number: int
    answer: asyncio.Future[Spoken | None]
    seconds: float  # of the engine's time
    too_long: str
    in_parts: bool
    parts: list[Spoken] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def succeed(self, spoken: Spoken | None) -> None:
        if not self.answer.done():  # its caller was cancelled in this moment
            self.answer.set_result(spoken)
        self.news.set()

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
        self.news.set()


class CallLine:
    """The engine works at the first, whose time runs. When that is up, `kill` is called with the reason."""

    def __init__(self, kill: Callable[[str], None]) -> None:
        self._kill = kill
        self._calls: OrderedDict[int, Call] = OrderedDict()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def first(self) -> Call | None:
        return next(iter(self._calls.values()), None)

    def __contains__(self, number: int) -> bool:
        return number in self._calls

    def add(self, call: Call) -> None:
        self._calls[call.number] = call
        if len(self._calls) == 1:
            self._watch(call)

    def end_first(self) -> Call:
        """It was answered, and the next one's time begins."""
        _, call = self._calls.popitem(last=False)
        self._watch(self.first)
        return call

    def hasten(self, call: Call, seconds: float, too_long: str) -> bool:
        """From now on, or from its turn on, it has so much time and no more. Whether it has its turn."""
        call.seconds, call.too_long = seconds, too_long
        if self.first is call:
            self._watch(call)
            return True
        return False

    def give_up(self) -> list[Call]:
        """All that were in line, in order; the line is empty then."""
        calls = list(self._calls.values())
        self._calls.clear()
        self._watch(None)
        return calls

    def _watch(self, call: Call | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        if call is not None:
            self._alarm = asyncio.get_running_loop().call_later(call.seconds, self._kill, call.too_long)
