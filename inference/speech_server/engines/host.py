"""Keeps one engine process alive and warm, and asks it to speak."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from speech_server.engines.base import Capabilities, Spoken, Utterance
from speech_server.engines.worker_process import EngineFaultError, WorkerProcess

# Seconds before each restart while the engine keeps dying; the last one repeats.
BACKOFF = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_STEADY_SECONDS = 60.0  # an engine that lived this long has not "kept dying"

Ending = Literal["fault", "recycled"]
ENDINGS: tuple[Ending, ...] = ("fault", "recycled")

log = logging.getLogger("speech_server.engine")


@dataclass(frozen=True)
class _End:
    kind: Ending
    reason: str


class EngineNotReadyError(Exception):
    """No engine is warm, nor became so in the time that the caller would wait."""


def restart_delay(deaths: int) -> float:
    """Seconds to wait before the restart after the `deaths`-th death in a row (from 1)."""
    return BACKOFF[min(deaths, len(BACKOFF)) - 1]


class EngineHost:
    """`start()` it once, `speak()` one call at a time, `stop()` it.

    `capabilities` is None until the engine was warm once; `ready` says whether it is warm now; `problem` says why
    the last process failed, for /readyz and the log; `recycling`: a process that had its day is being replaced, and a
    call may wait up to `load_seconds` for the fresh one. `on_restart` is called with each end of a process.
    """

    def __init__(
        self,
        engine: str,
        load_seconds: float,
        variables: Mapping[str, str] | None = None,
        on_restart: Callable[[Ending], None] = lambda _: None,
    ) -> None:
        self.capabilities: Capabilities | None = None
        self.problem: str | None = None
        self.recycling = False
        self.load_seconds = load_seconds
        self._engine = engine
        self._variables = variables
        self._on_restart = on_restart
        self._worker: WorkerProcess | None = None
        self._warm = asyncio.Event()
        self._deaths = 0
        self._keeper: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        return self._warm.is_set()

    @property
    def pid(self) -> int | None:
        return None if self._worker is None else self._worker.pid

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
        self._deaths = 0
        return spoken

    def _lose(self, worker: WorkerProcess) -> None:
        if self._worker is worker:
            self._warm.clear()
            self.recycling = worker.recycled

    async def _keep_alive(self) -> None:
        while True:
            started = time.monotonic()
            end = await self._run_one()
            self._on_restart(end.kind)
            if end.kind == "recycled":
                log.info("engine_recycled", extra={"fields": {"reason": end.reason}})
                continue
            self.problem = end.reason
            if time.monotonic() - started > _STEADY_SECONDS:
                self._deaths = 0
            self._deaths += 1
            delay = restart_delay(self._deaths)
            fields = {"reason": end.reason, "deaths_in_a_row": self._deaths, "restart_in_seconds": delay}
            log.error("engine_ended", extra={"fields": fields})
            await asyncio.sleep(delay)

    async def _run_one(self) -> _End:
        """Run one engine process from start to end."""
        started = time.monotonic()
        try:
            worker = await WorkerProcess.start(self._engine, self._variables)
        except OSError as error:
            self.recycling = False
            return _End("fault", f"the engine process cannot be started: {error.strerror}")
        self._worker = worker
        try:
            with contextlib.suppress(EngineFaultError):
                self.capabilities = await worker.loaded(self.load_seconds)
                self._warm.set()
                self.problem = None
                self.recycling = False
                fields = {
                    "engine": f"{self.capabilities.name}/{self.capabilities.version}",
                    "pid": worker.pid,
                    "seconds": round(time.monotonic() - started, 3),
                }
                log.info("engine_ready", extra={"fields": fields})
            reason = await worker.gone()
            return _End("recycled" if worker.recycled else "fault", reason)
        finally:
            self._lose(worker)
            worker.kill("the server ends")
            await asyncio.shield(worker.gone())
