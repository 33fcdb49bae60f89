"""Keeps one engine process alive and warm, and asks it to speak."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from speech_server.engines.base import Capabilities, Spoken, Utterance
from speech_server.engines.worker_process import EngineFaultError, WorkerProcess

# Seconds before each restart while the engine keeps dying; the last one repeats.
BACKOFF = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_STEADY_SECONDS = 60.0  # an engine that lived this long has not "kept dying"

Ending = Literal["fault", "recycled", "unloaded"]
ENDINGS: tuple[Ending, ...] = ("fault", "recycled", "unloaded")
State = Literal["loading", "ready", "recycling", "unloaded", "failed"]

log = logging.getLogger("speech_server.engine")


@dataclass(frozen=True)
class _End:
    kind: Ending
    reason: str


class EngineNotReadyError(Exception):
    """No engine is warm, nor became so in the time that the caller would wait. `retry_seconds`: when one is expected
    to be; None if nobody knows.
    """

    def __init__(self, reason: str, retry_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_seconds = retry_seconds


def restart_delay(deaths: int) -> float:
    """Seconds to wait before the restart after the `deaths`-th death in a row (from 1)."""
    return BACKOFF[min(deaths, len(BACKOFF)) - 1]


class EngineHost:
    """`start()` it once, `speak()` one call at a time, `stop()` it.

    `capabilities` is None until the engine was warm once; `ready` says whether it is warm now; `problem` says why
    the last process failed, for /readyz and the log; `recycling`: a process that had its day is being replaced, and a
    call may wait up to `load_seconds` for the fresh one. `on_restart` is called with each end of a process, `on_change`
    whenever it got warm, or is no longer, or failed. `number` tells it from others in the log.

    `unload()` ends the process for good, until somebody `wake()`s the host.
    """

    def __init__(
        self,
        engine: str,
        load_seconds: float,
        variables: Mapping[str, str] | None = None,
        on_restart: Callable[[Ending], None] = lambda _: None,
        number: int = 0,
    ) -> None:
        self.capabilities: Capabilities | None = None
        self.problem: str | None = None
        self.recycling = False
        self.unloaded = False
        self.waking = False  # from being unloaded: it loads because somebody waits for it
        self.load_seconds = load_seconds
        self.number = number
        self.on_change: Callable[[], None] = lambda: None
        self._engine = engine
        self._variables = variables
        self._on_restart = on_restart
        self._worker: WorkerProcess | None = None
        self._warm = asyncio.Event()
        self._put_away: WorkerProcess | None = None  # the one that was unloaded last
        self._wanted = asyncio.Event()
        self.deaths = 0  # in a row, without a call that it survived
        self._keeper: asyncio.Task[None] | None = None
        self._load_began = 0.0
        self.load_took: float | None = None  # seconds, the last time

    @property
    def ready(self) -> bool:
        return self._warm.is_set()

    @property
    def pid(self) -> int | None:
        return None if self._worker is None else self._worker.pid

    @property
    def state(self) -> State:
        if self.ready:
            return "ready"
        if self.unloaded:
            return "unloaded"
        if self.recycling:
            return "recycling"
        return "loading" if self.problem is None or self.waking else "failed"

    def seconds_to_ready(self) -> float | None:
        """When it should be warm, if it loads as fast as the last time; None if it never was, or keeps dying."""
        if self.ready:
            return 0.0
        if self.load_took is None or self.deaths > 1:
            return None
        if self.unloaded:
            return self.load_took
        return max(0.0, self._load_began + self.load_took - time.monotonic())

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep_alive())

    async def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    def kill(self) -> None:
        """End the engine process now, for a server that is about to end without its event loop."""
        if self._worker is not None:
            self._worker.kill("the server ends")

    def unload(self) -> None:
        """End a warm engine's process, between two calls, and start none before `wake()`."""
        worker = self._worker
        assert worker is not None
        assert self.ready
        self._wanted.clear()
        self._put_away = worker
        self.unloaded = True
        worker.kill("it was not asked for anything")
        self._lose(worker)

    def wake(self) -> None:
        """Start the process of an unloaded engine; of others nothing."""
        if self.unloaded:
            self.unloaded = False
            self.waking = True
            self._load_began = time.monotonic()
            self._wanted.set()

    async def wait_ready(self, seconds: float) -> None:
        """Raises EngineNotReadyError if the engine is not warm within `seconds`."""
        if self.ready:
            return
        try:
            await asyncio.wait_for(self._warm.wait(), seconds)
        except asyncio.TimeoutError:
            raise EngineNotReadyError(self.problem or "the engine is loading") from None

    async def speak(self, utterance: Utterance, seconds: float, ready_seconds: float) -> Spoken:
        """Say one utterance within `seconds`, after at most `ready_seconds` of waiting for a warm engine.

        Raises EngineFaultError (the engine is being restarted), EngineNotReadyError, UtteranceError.
        """
        if not self.ready:
            await self.wait_ready(ready_seconds)
        worker = self._worker
        assert worker is not None
        try:
            spoken = await worker.speak(utterance, seconds)
        finally:
            if not worker.usable:
                # The keeper learns of the end a moment later; the next call must not meet the ended process again.
                self._lose(worker)
        self.deaths = 0
        return spoken

    async def segments(self, utterance: Utterance, seconds: float, ready_seconds: float) -> AsyncGenerator[Spoken]:
        """As `speak`, in parts, each as soon as it is there; closed before the last one, the call is cancelled."""
        if not self.ready:
            await self.wait_ready(ready_seconds)
        worker = self._worker
        assert worker is not None
        try:
            async with contextlib.aclosing(worker.segments(utterance, seconds)) as parts:
                async for part in parts:
                    if part.last:
                        self.deaths = 0
                    yield part
        finally:
            if not worker.usable:
                self._lose(worker)

    def _lose(self, worker: WorkerProcess) -> None:
        if self._worker is not worker:
            return
        was_ready = self.ready
        self._warm.clear()
        self._load_began = time.monotonic()  # or will in a moment
        self.recycling = worker.recycled
        if was_ready:
            self.on_change()

    async def _keep_alive(self) -> None:
        while True:
            started = time.monotonic()
            end = await self._run_one()
            self._on_restart(end.kind)
            if end.kind == "recycled":
                self._log("engine_recycled", reason=end.reason)
                continue
            if end.kind == "unloaded":
                self._log("engine_unloaded", reason=end.reason)
                await self._wanted.wait()
                continue
            self.problem = end.reason
            self.waking = self.recycling = False
            if time.monotonic() - started > _STEADY_SECONDS:
                self.deaths = 0
            self.deaths += 1
            delay = restart_delay(self.deaths)
            self._load_began = time.monotonic() + delay
            self.on_change()
            fields = {"reason": end.reason, "deaths_in_a_row": self.deaths, "restart_in_seconds": delay}
            log.error("engine_ended", extra={"fields": {"number": self.number, **fields}})
            await asyncio.sleep(delay)

    async def _run_one(self) -> _End:
        """Run one engine process from start to end."""
        started = self._load_began = time.monotonic()
        try:
            worker = await WorkerProcess.start(self._engine, self._variables)
        except OSError as error:
            self.recycling = False
            return _End("fault", f"the engine process cannot be started: {error.strerror}")
        self._worker = worker
        try:
            with contextlib.suppress(EngineFaultError):
                self.capabilities = await worker.loaded(self.load_seconds)
                self.load_took = time.monotonic() - started
                self.problem = None
                self.recycling = self.waking = False
                self._log(
                    "engine_ready",
                    engine=f"{self.capabilities.name}/{self.capabilities.version}",
                    pid=worker.pid,
                    seconds=round(self.load_took, 3),
                )
                self._warm.set()
                self.on_change()
            reason = await worker.gone()
            return _End(self._kind_of_end(worker), reason)
        finally:
            self._lose(worker)
            worker.kill("the server ends")
            await asyncio.shield(worker.gone())

    def _kind_of_end(self, worker: WorkerProcess) -> Ending:
        if worker.recycled:
            return "recycled"
        return "unloaded" if self._put_away is worker else "fault"

    def _log(self, event: str, **fields: object) -> None:
        log.info(event, extra={"fields": {"number": self.number, **fields}})
