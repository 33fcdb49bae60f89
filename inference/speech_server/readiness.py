"""Whether this server wants requests, and whether whoever balances the load has been told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from speech_server.engines.pool import EnginePool
from speech_server.errors import ApiError


class Readiness:
    """`begin_drain()` is the start of the end; `drain_seen` is set once a probe was told of it.

    What `watch`ed parts fail is told and keeps no request away: speech goes on without the bucket and the queue.
    """

    def __init__(self, host: EnginePool) -> None:
        self.draining = False
        self._why = ""
        self.drain_seen = asyncio.Event()
        # What an operator should mend, each with its remedy; speech goes on meanwhile.
        self.problems: tuple[str, ...] = ()
        self._host = host
        self._parts: dict[str, Callable[[], datetime | None]] = {}

    def watch(self, part: str, failing_since: Callable[[], datetime | None]) -> None:
        """`part` ("store", "queue") works while `failing_since()` is None; else it fails since that time (UTC)."""
        self._parts[part] = failing_since

    def begin_drain(self, reason: str) -> None:
        self.draining, self._why = True, reason

    def end_drain(self) -> None:
        """Back in service."""
        self.draining = False
        self.drain_seen.clear()

    def check(self) -> None:
        """Raises ApiError (503) with the reason if this server is not to be sent requests."""
        if self.draining:
            self.drain_seen.set()
            raise ApiError(503, "draining", f"this server is going out of service ({self._why}): ask another one")
        if self._host.ready or self._host.returning:  # requests wait for the fresh engine process, and none fails
            return
        if self._host.problem is not None:
            raise ApiError(503, "engine_failed", f"the engine ended and is being restarted: {self._host.problem}")
        raise ApiError(503, "engine_loading", "the engine is loading")

    def parts(self) -> tuple[str, ...]:
        return tuple(self._parts)

    def degraded(self) -> dict[str, datetime]:
        """The parts that fail, and since when; empty while all is well."""
        failing = {part: failing_since() for part, failing_since in self._parts.items()}
        return {part: since for part, since in failing.items() if since is not None}
