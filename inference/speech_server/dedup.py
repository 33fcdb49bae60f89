"""One synthesis for the same request: shared while it runs, repeated from memory for a while after.

Clients retry after a time-out or a lost connection without saying so; a load balancer retries a request whose server
died. Neither may cost the engine a second time, nor may the answers differ.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

KEPT_SECONDS = 600.0
KEPT_BYTES = 64 << 20
_ENTRY_BYTES = 2048  # what an answer costs beside its body: headers, keys, bookkeeping
_EXPIRIES_SPARE = 1000
_NAMES_KEPT = 20_000  # of idempotency keys: about 4 MiB

RUN, JOINED, STORED = "run", "joined", "stored"


@dataclass(frozen=True)
class Answer:
    """A finished answer, the same for everybody who asked for it."""

    body: bytes
    media_type: str
    headers: tuple[tuple[str, str], ...]


class KeyReusedError(Exception):
    """The Idempotency-Key came with another request before."""


@dataclass(eq=False)
class _Flight:
    task: asyncio.Task[Answer]
    waiters: int = 0


@dataclass(frozen=True)
class _Stored:
    answer: Answer
    expires: float


def fingerprint(client: str, request: object) -> str:
    """The sha256 of a client's request, given as anything JSON can hold. Equal requests, equal fingerprints."""
    canonical = json.dumps([client, request], sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).hexdigest()


@dataclass
class Dedup:
    """`answer()` runs what nobody runs already. Failures are shared by those who wait for them and never stored."""

    clock: Callable[[], float] = time.monotonic
    kept_seconds: float = KEPT_SECONDS
    kept_bytes: int = KEPT_BYTES
    stored_bytes: int = 0
    _flights: dict[str, _Flight] = field(default_factory=dict)
    _stored: OrderedDict[str, _Stored] = field(default_factory=OrderedDict)  # least recently used first
    _expiries: deque[tuple[float, str]] = field(default_factory=deque)
    _names: OrderedDict[str, tuple[str, float]] = field(default_factory=OrderedDict)  # -> fingerprint, expiry

    async def answer(
        self, key: str, make: Callable[[], Awaitable[Answer]], client: str = "", idempotency_key: str | None = None
    ) -> tuple[Answer, str]:
        """The answer to the request with the fingerprint `key`, and how it was had: RUN, JOINED or STORED.

        The synthesis is cancelled when the last who waits for it is. Raises KeyReusedError, and what `make` raises.
        """
        self._expire()
        name = None if idempotency_key is None else fingerprint(client, idempotency_key)
        if name is not None:
            self._claim(name, key)
            # Another idempotency key says that this is meant as another request, equal as it may be.
            key = fingerprint(name, key)
        stored = self._stored.get(key)
        if stored is not None:
            self._stored.move_to_end(key)
            return stored.answer, STORED
        flight = self._flights.get(key)
        how = JOINED
        if flight is None:
            how = RUN
            flight = _Flight(asyncio.create_task(self._fly(key, name, make)))
            flight.task.add_done_callback(_retrieve)
            self._flights[key] = flight
        return await self._wait(key, flight), how

    async def _wait(self, key: str, flight: _Flight) -> Answer:
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()

    async def _fly(self, key: str, name: str | None, make: Callable[[], Awaitable[Answer]]) -> Answer:
        me = asyncio.current_task()
        try:
            answer = await make()
        except BaseException:
            if name is not None:
                self._names.pop(name, None)
            raise
        else:
            self._store(key, answer)
            return answer
        finally:
            flight = self._flights.get(key)
            if flight is not None and flight.task is me:
                del self._flights[key]

    def _claim(self, name: str, key: str) -> None:
        known = self._names.get(name)
        if known is not None and known[1] > self.clock() and known[0] != key:
            raise KeyReusedError
        self._names[name] = (key, self.clock() + self.kept_seconds)
        self._names.move_to_end(name)
        while len(self._names) > _NAMES_KEPT:
            self._names.popitem(last=False)

    def _store(self, key: str, answer: Answer) -> None:
        cost = _cost(answer)
        if cost > self.kept_bytes // 4:
            return
        expires = self.clock() + self.kept_seconds
        self._drop(key)
        self._stored[key] = _Stored(answer, expires)
        self._expiries.append((expires, key))
        self.stored_bytes += cost
        while self.stored_bytes > self.kept_bytes:
            self._drop(next(iter(self._stored)))
        if len(self._expiries) > 2 * len(self._stored) + _EXPIRIES_SPARE:
            # Of many that were pushed out long before their time; what is left is still in order.
            self._expiries = deque(entry for entry in self._expiries if self._is_stored(*entry))

    def _is_stored(self, expires: float, key: str) -> bool:
        stored = self._stored.get(key)
        return stored is not None and stored.expires == expires

    def _expire(self) -> None:
        now = self.clock()
        while self._expiries and self._expiries[0][0] <= now:
            expires, key = self._expiries.popleft()
            if self._is_stored(expires, key):
                self._drop(key)

    def _drop(self, key: str) -> None:
        stored = self._stored.pop(key, None)
        if stored is not None:
            self.stored_bytes -= _cost(stored.answer)


def _retrieve(task: asyncio.Task[Answer]) -> None:
    """Look at a failure that nobody waits for any more, or asyncio would log it."""
    if not task.cancelled():
        task.exception()


def _cost(answer: Answer) -> int:
    return len(answer.body) + _ENTRY_BYTES
