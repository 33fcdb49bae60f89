"""A stand-in for an engine process: it takes its time by a test's clock, and refuses what the real one would."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Iterable

from speech_server.engines.base import Capabilities, Spoken, Utterance
from speech_server.engines.host import EngineHost
from speech_server.engines.worker_process import EngineFaultError

RATE = 1000
CAPABILITIES = Capabilities("double", "1", RATE, ("en",), ("default",), False, False, False)


def say(text: str, voice: str | None = None) -> Utterance:
    return Utterance(text, None, voice, None, None, None, None, False)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Clock:
    """Stands still while anything is to be done, and goes to the next sleeper's time when nothing is."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), woken))
        await woken

    async def tick(self) -> None:
        """The next sleeper wakes."""
        await settle()
        self.now, _, woken = heapq.heappop(self._sleepers)
        if not woken.done():
            woken.set_result(None)
        await settle()

    async def until_done(self, works: Iterable[Awaitable[object]]) -> None:
        tasks = [asyncio.ensure_future(work) for work in works]
        await settle()
        while not all(task.done() for task in tasks):
            await self.tick()
        await asyncio.gather(*tasks)


class DoubleHost(EngineHost):
    """Speaks a second for each character of its text. A call while it speaks, or is not warm, fails the test."""

    def __init__(self, clock: Clock, number: int = 0) -> None:
        super().__init__("espeak", load_seconds=900.0, number=number)
        self.spoke: list[str] = []
        self.speaking: str | None = None
        self.unloads = 0
        self._clock = clock
        self._call: asyncio.Task[None] | None = None

    def get_ready(self) -> None:
        self.capabilities, self.problem = CAPABILITIES, None
        self.unloaded = self.waking = self.recycling = False
        self._warm.set()
        self.on_change()

    def die(self, problem: str = "it died") -> None:
        self._warm.clear()
        self.problem = problem
        if self._call is not None:
            self._call.cancel()
        self.on_change()

    def unload(self) -> None:
        assert self.ready
        assert self._call is None
        self.unloads += 1
        self.unloaded = True
        self._warm.clear()
        self.on_change()

    async def speak(self, utterance: Utterance, seconds: float, ready_seconds: float) -> Spoken:
        del seconds, ready_seconds
        assert self.ready
        assert self._call is None, "one call at a time"
        self.speaking = utterance.text
        self._call = asyncio.ensure_future(self._clock.sleep(len(utterance.text)))
        try:
            await asyncio.wait({self._call})
            if self._call.cancelled():
                raise EngineFaultError(self.problem or "")
        finally:
            self._call.cancel()
            self._call = self.speaking = None
        self.spoke.append(utterance.text)
        return Spoken(bytes(2 * RATE * len(utterance.text)), RATE, ())
