"""Engine processes that are one to whoever asks: a call goes to one that is warm and free."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from speech_server.engines.base import Capabilities, Spoken, Utterance
from speech_server.engines.host import EngineHost, EngineNotReadyError, State
from speech_server.engines.worker_process import NotBegunError

# Voices that an engine is taken to have warm: what fits into the 256 MB that IndexTTS2 keeps for them by default.
_WARM_VOICES = 32


@dataclass(eq=False)
class Seat:
    """One engine. Only one call at a time has it, and others may be in line behind."""

    host: EngineHost
    calls: int = 0
    last_used: float = 0.0  # time.monotonic
    _voices: OrderedDict[str, None] = field(default_factory=OrderedDict)  # the last used ones last
    _pid: int | None = None  # of the process that has the voices
    idle_alarm: asyncio.TimerHandle | None = None

    @property
    def free(self) -> bool:
        return not self.calls and self.host.ready

    def has_warm(self, voice: str) -> bool:
        return voice in self._voices and self._pid == self.host.pid

    def speaks(self, voice: str) -> None:
        """It is given a call with this voice."""
        self.calls += 1
        if self._pid != self.host.pid:
            self._voices.clear()
            self._pid = self.host.pid
        self._voices[voice] = None
        self._voices.move_to_end(voice)
        if len(self._voices) > _WARM_VOICES:
            self._voices.popitem(last=False)


def choose(seats: Iterable[Seat], voice: str) -> Seat | None:
    """Of the free ones that did not die at their last call, the one that has the voice warm, else the one used last: so
    the others' voices stay warm, and who is not needed may be unloaded. None while none is free.
    """
    free = [seat for seat in seats if seat.free]
    if len(free) < 2:
        return free[0] if free else None
    return max(free, key=lambda seat: (not seat.host.deaths, seat.has_warm(voice), seat.last_used))


class EnginePool:
    """`start()` it once, `speak()` as many calls at a time as are `warm`, `stop()` it.

    An engine that died, is being replaced or loads is left out meanwhile. One that nobody asked for `idle_seconds`
    (None: for ever) ends its process, and is started when somebody waits for an engine. `on_change` is called when
    `warm` has changed.
    """

    def __init__(self, hosts: Sequence[EngineHost], idle_seconds: float | None = None) -> None:
        self.warm = 0
        self.on_change: Callable[[], None] = lambda: None
        self._seats = [Seat(host) for host in hosts]
        self._idle_seconds = idle_seconds
        # Who waits, and whether for one that was to return: that is told when it does not.
        self._awaiting_warm: dict[asyncio.Future[bool], bool] = {}
        self._waiting: deque[tuple[str, asyncio.Future[Seat]]] = deque()
        for seat in self._seats:
            seat.host.on_change = lambda seat=seat: self._changed(seat)

    @property
    def number(self) -> int:
        """Engines, warm or not."""
        return len(self._seats)

    @property
    def capabilities(self) -> Capabilities | None:
        """What the engines are, which is the same for all; None until one was warm."""
        return next((seat.host.capabilities for seat in self._seats if seat.host.capabilities is not None), None)

    @property
    def ready(self) -> bool:
        """Whether one is warm."""
        return self.warm > 0

    @property
    def returning(self) -> bool:
        """Whether one that is not warm surely will be: it is being replaced by a fresh process, or is started when
        somebody asks.
        """
        return any(seat.host.recycling or seat.host.unloaded or seat.host.waking for seat in self._seats)

    @property
    def asleep(self) -> bool:
        """Whether none is warm because nobody asked: the next call starts one."""
        return not self.ready and any(seat.host.unloaded or seat.host.waking for seat in self._seats)

    @property
    def problem(self) -> str | None:
        """Why an engine that is not warm failed the last time."""
        return next((seat.host.problem for seat in self._seats if seat.host.problem is not None), None)

    @property
    def load_seconds(self) -> float:
        """What an engine may take to load."""
        return self._seats[0].host.load_seconds

    def states(self) -> list[State]:
        """Of each engine."""
        return [seat.host.state for seat in self._seats]

    def is_busy(self, number: int) -> bool:
        return self._seats[number].calls > 0

    def start(self) -> None:
        for seat in self._seats:
            seat.host.start()

    async def stop(self) -> None:
        for seat in self._seats:
            _disarm(seat)
        await asyncio.gather(*(seat.host.stop() for seat in self._seats))

    def kill(self) -> None:
        """End the engine processes now, for a server that is about to end without its event loop."""
        for seat in self._seats:
            seat.host.kill()

    def wake_one(self) -> None:
        """More is wanted than is warm: start an engine that was unloaded, if there is one."""
        for seat in self._seats:
            if seat.host.unloaded:
                seat.host.wake()
                return

    async def wait_ready(self, seconds: float) -> None:
        """Raises EngineNotReadyError if no engine is warm within `seconds`; at once if the last load took longer than
        that, and when one that was to return fails.
        """
        if self.ready:
            return
        if not any(seat.host.waking for seat in self._seats):
            self.wake_one()
        expected = self._seconds_to_ready()
        if expected is not None and expected > seconds:
            raise EngineNotReadyError("the engine is loading", expected)
        came: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._awaiting_warm[came] = self.returning
        try:
            await asyncio.wait({came}, timeout=seconds)  # asyncio.wait_for() may lose a cancel before Python 3.12
        finally:
            self._awaiting_warm.pop(came, None)
        if not came.done() or not came.result():
            raise self._not_ready()

    async def speak(self, utterance: Utterance, seconds: float, ready_seconds: float, ahead: bool = False) -> Spoken:
        """Say one utterance within `seconds`, by an engine that is free, or the first to be. While none is warm, that
        is waited for at most `ready_seconds`, unless one is `returning`. `ahead` of its turn it may stand in line at an
        engine that speaks.

        Raises EngineFaultError (that engine is being restarted), EngineNotReadyError, UtteranceError.
        """
        while True:
            seat = self._line_up(utterance) if ahead else None
            if seat is None:
                seat = await self._take(utterance, ready_seconds)
            try:
                return await seat.host.speak(utterance, seconds, ready_seconds)
            except NotBegunError:
                ahead = False
            finally:
                self._give_back(seat)

    async def segments(self, utterance: Utterance, seconds: float, ready_seconds: float) -> AsyncGenerator[Spoken]:
        """As `speak`, in parts, each as soon as it is there; closed before the last one, the call is cancelled."""
        seat = await self._take(utterance, ready_seconds)
        try:
            async with contextlib.aclosing(seat.host.segments(utterance, seconds, ready_seconds)) as parts:
                async for part in parts:
                    yield part
        finally:
            self._give_back(seat)

    def _line_up(self, utterance: Utterance) -> Seat | None:
        """The engine with the shortest line; none if somebody waits for one of their own."""
        if self._waiting:
            return None
        seat = min((seat for seat in self._seats if seat.host.ready), key=attrgetter("calls"), default=None)
        if seat is not None:
            seat.speaks(_voice_of(utterance))
        return seat

    async def _take(self, utterance: Utterance, ready_seconds: float) -> Seat:
        voice = _voice_of(utterance)
        seat = choose(self._seats, voice)
        if seat is not None:
            seat.speaks(voice)
            return seat
        while True:
            seat = await self._wait_for_seat(voice, ready_seconds)
            if seat.host.ready:
                return seat
            self._give_back(seat)  # it was lost in the moment in which it was handed over

    async def _wait_for_seat(self, voice: str, ready_seconds: float) -> Seat:
        if not self.ready:
            await self.wait_ready(self.load_seconds if self.returning else ready_seconds)
        handed: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()
        self._waiting.append((voice, handed))
        self._hand_out()
        try:
            while not handed.done():
                await asyncio.wait({handed}, timeout=ready_seconds)
                if not handed.done() and not self.ready and not self.returning:
                    raise self._not_ready()
        except BaseException:
            if handed.done():
                self._give_back(handed.result())
            else:
                self._waiting.remove((voice, handed))
            raise
        return handed.result()

    def _give_back(self, seat: Seat) -> None:
        seat.calls -= 1
        seat.last_used = time.monotonic()
        if self._waiting:
            self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            voice, handed = self._waiting[0]
            seat = choose(self._seats, voice)
            if seat is None:
                return
            self._waiting.popleft()
            seat.speaks(voice)
            handed.set_result(seat)

    def _changed(self, seat: Seat) -> None:
        self.warm = sum(seat.host.ready for seat in self._seats)
        _disarm(seat)
        for came, for_returning in list(self._awaiting_warm.items()):
            if not came.done() and (self.ready or (for_returning and not self.returning)):
                came.set_result(self.ready)
        if seat.host.ready:
            seat.last_used = time.monotonic()
            self._arm(seat, self._idle_seconds)
        self._hand_out()
        self.on_change()

    def _arm(self, seat: Seat, seconds: float | None) -> None:
        if seconds is not None:
            seat.idle_alarm = asyncio.get_running_loop().call_later(seconds, self._look_whether_idle, seat)

    def _look_whether_idle(self, seat: Seat) -> None:
        assert self._idle_seconds is not None
        left = seat.last_used + self._idle_seconds - time.monotonic()
        if seat.calls:
            self._arm(seat, self._idle_seconds)
        elif left > 0:
            self._arm(seat, left)
        else:
            seat.host.unload()

    def _seconds_to_ready(self) -> float | None:
        expected = [seat.host.seconds_to_ready() for seat in self._seats]
        return min((seconds for seconds in expected if seconds is not None), default=None)

    def _not_ready(self) -> EngineNotReadyError:
        return EngineNotReadyError(self.problem or "the engine is loading", self._seconds_to_ready())


def _disarm(seat: Seat) -> None:
    if seat.idle_alarm is not None:
        seat.idle_alarm.cancel()
        seat.idle_alarm = None


def _voice_of(utterance: Utterance) -> str:
    """What an engine keeps warm: by the content of a sample, or one of its own voices."""
    if utterance.reference is not None:
        return utterance.reference.sha256
    return utterance.voice or ""
