"""The log in the store: `logs/YYYY/MM/DD/HH/NODE.jsonl.gz`, for machines that are gone when somebody asks."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
from collections.abc import Callable
from datetime import datetime, timezone

from speech_server.storage.regularly import keep_regularly
from speech_server.storage.store import Store, StoreError

_LAST_KEEP_SECONDS = 5.0
# An object is written anew with each minute's lines until it is this large; then the hour's next one begins.
_OBJECT_BYTES = 4 << 20
# Lines that wait for a store that fails; the oldest go first, and how many is told.
_MAX_WAITING_BYTES = 16 << 20

log = logging.getLogger("speech_server.log_objects")


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


class LogObjects:
    """`add` lines from any thread, `run()` beside the requests, `close()` at the end.

    A line is in the object of the hour in which it was written to the store. `node` is a name that no other server
    start has.
    """

    def __init__(self, store: Store, node: str, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._node = node
        self._now = now
        self._lock = threading.Lock()
        self._keeping = asyncio.Lock()  # one writer at a time: each writes all that is in the object
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped_bytes = 0
        self._folder = ""
        self._part = 1
        self._written = b""  # the current object, as it is in the store

    def add(self, lines: str) -> None:
        """Whole lines, each with its end."""
        data = lines.encode()
        with self._lock:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            while self._waiting_bytes > _MAX_WAITING_BYTES:
                dropped = len(self._waiting.pop(0))
                self._waiting_bytes -= dropped
                self._dropped_bytes += dropped

    async def run(self) -> None:
        await keep_regularly(self.keep, log, "log_not_kept")

    async def keep(self) -> None:
        """Write what waits. Raises StoreError, and then it still waits."""
        async with self._keeping:
            with self._lock:
                taken, dropped = self._waiting, self._dropped_bytes
                self._waiting, self._waiting_bytes, self._dropped_bytes = [], 0, 0
            if not taken:
                return
            self._turn_page()
            try:
                data = self._written + await asyncio.to_thread(gzip.compress, b"".join(taken))
                await self._store.put(self._key(), data, "application/gzip")
            except BaseException:
                self._give_back(taken, dropped)
                raise
            self._written = data
        if dropped:
            log.error("log_lines_lost", extra={"fields": {"bytes": dropped}})

    async def close(self) -> None:
        try:
            await asyncio.wait_for(self.keep(), _LAST_KEEP_SECONDS)
        except (StoreError, asyncio.TimeoutError) as error:
            log.warning("log_not_kept", extra={"fields": {"problem": type(error).__name__}})

    def _turn_page(self) -> None:
        folder = f"logs/{self._now():%Y/%m/%d/%H}/"
        if folder != self._folder:
            self._folder, self._part, self._written = folder, 1, b""
        elif len(self._written) >= _OBJECT_BYTES:
            self._part, self._written = self._part + 1, b""

    def _key(self) -> str:
        part = "" if self._part == 1 else f"-{self._part}"
        return f"{self._folder}{self._node}{part}.jsonl.gz"

    def _give_back(self, taken: list[bytes], dropped: int) -> None:
        with self._lock:
            self._waiting = taken + self._waiting
            self._waiting_bytes = sum(map(len, self._waiting))
            self._dropped_bytes += dropped
