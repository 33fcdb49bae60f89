"""Whether this server wants requests, and whether whoever balances the load has been told."""

from __future__ import annotations

import asyncio

from speech_server.engines.host import EngineHost
from speech_server.errors import ApiError


class Readiness:
    """`begin_drain()` is the start of the end; `drain_seen` is set once a probe was told of it."""

    def __init__(self, host: EngineHost) -> None:
        self.draining = False
        self.drain_seen = asyncio.Event()
        self._host = host

    def begin_drain(self) -> None:
        self.draining = True

    def check(self) -> None:
        """Raises ApiError (503) with the reason if this server is not to be sent requests."""
        if self.draining:
            self.drain_seen.set()
            raise ApiError(503, "draining", "this server is ending and takes no new requests")
        if self._host.ready:
            return
        if self._host.problem is not None:
            raise ApiError(503, "engine_failed", "the engine ended and is being restarted")
        raise ApiError(503, "engine_loading", "the engine is loading")
