"""One synthesis for the same request: shared while it runs, repeated from memory for a while after.

Clients retry after a time-out or a lost connection without saying so; a load balancer retries a request whose server
died. Neither may cost the engine a second time, nor may the answers differ. An answer that is sent while it grows is
shared as it grows, and repeated as it was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import marshal
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from speech_server.answers import Answer, GrowingAnswer

KEPT_SECONDS = 600.0
KEPT_BYTES = 64 << 20
_ENTRY_BYTES = 2048  # what an answer costs beside its body: headers, keys, bookkeeping
_EXPIRIES_SPARE = 1000
_NAMES_KEPT = 20_000  # of idempotency keys: about 4 MiB

RUN, JOINED, STORED = "run", "joined", "stored"


# To be called with an answer whose beginning is there: who waits for it is given it then.
Begin = Callable[[GrowingAnswer], None]


class KeyReusedError(Exception):
    """The Idempotency-Key came with another request before."""


@dataclass(eq=False)
class _Flight:
    """`waiters` are told how it ended, or that it grows, each by a future of its own, so that each may leave."""

    task: asyncio.Task[None]
    waiters: list[asyncio.Future[Answer | GrowingAnswer]] = field(default_factory=list)
    growing: GrowingAnswer | None = None


@dataclass(frozen=True)
class _Stored:
    answer: Answer
    expires: float


def fingerprint(*request: Any) -> bytes:
    """The sha256 of whose request it is and what it asks for, given as numbers, texts, None and tuples of them. Equal
    requests of equal types have equal fingerprints, within this process.
    """
    # The first version of the format has no back references, so equal values are equal bytes.
    return hashlib.sha256(marshal.dumps(request, 0)).digest()


@dataclass
class Dedup:
    """`answer()` runs what nobody runs already. Failures are shared by those who wait for them and never stored."""

    clock: Callable[[], float] = time.monotonic
    kept_seconds: float = KEPT_SECONDS
    kept_bytes: int = KEPT_BYTES
    stored_bytes: int = 0
    _flights: dict[bytes, _Flight] = field(default_factory=dict)
    _stored: OrderedDict[bytes, _Stored] = field(default_factory=OrderedDict)  # least recently used first
    _expiries: deque[tuple[float, bytes]] = field(default_factory=deque)
    _names: OrderedDict[bytes, tuple[bytes, float]] = field(default_factory=OrderedDict)  # -> fingerprint, expiry

    async def answer(
        self, key: bytes, make: Callable[[], Awaitable[Answer]], client: str = "", idempotency_key: str | None = None
    ) -> tuple[Answer, str]:
        """The answer to the request with the fingerprint `key`, and how it was had: RUN, JOINED or STORED.

        The synthesis is cancelled when the last who waits for it is. Raises KeyReusedError, and what `make` raises.
        """
        key, found, how = self._find(key, lambda _: make(), client, idempotency_key)
        if isinstance(found, _Flight):
            found, _ = await self._wait(key, found)
        assert isinstance(found, Answer), "the key of an answer that grows"
        return found, how

    async def growing(
        self,
        key: bytes,
        make: Callable[[Begin], Awaitable[Answer]],
        leaving: contextlib.ExitStack,
        client: str = "",
        idempotency_key: str | None = None,
    ) -> tuple[Answer | GrowingAnswer, str]:
        """As `answer`, of which the beginning may be enough. Who is given one that grows closes `leaving` when done
        with it; closed by all before its end, its synthesis is cancelled.
        """
        key, found, how = self._find(key, make, client, idempotency_key)
        if isinstance(found, _Flight):
            flight = found
            found, waiter = await self._wait(key, flight)
            if isinstance(found, GrowingAnswer):
                leaving.callback(self._leave, key, flight, waiter)
        return found, how

    def _find(
        self, key: bytes, make: Callable[[Begin], Awaitable[Answer]], client: str, idempotency_key: str | None
    ) -> tuple[bytes, Answer | _Flight, str]:
        """What is stored, or a flight, begun now if there was none; the key of either, and how it was had."""
        self._expire()
        name = None if idempotency_key is None else fingerprint(client, idempotency_key)
        if name is not None:
            self._claim(name, key)
            # Another idempotency key says that this is meant as another request, equal as it may be.
            key = fingerprint(name, key)
        stored = self._stored.get(key)
        if stored is not None:
            self._stored.move_to_end(key)
            return key, stored.answer, STORED
        flight = self._flights.get(key)
        if flight is not None:
            return key, flight, JOINED
        flight = self._flights[key] = _Flight(asyncio.create_task(self._fly(key, name, make)))
        return key, flight, RUN

    async def _wait(
        self, key: bytes, flight: _Flight
    ) -> tuple[Answer | GrowingAnswer, asyncio.Future[Answer | GrowingAnswer]]:
        """What came of it or grows, and what its caller waits by."""
        waiter: asyncio.Future[Answer | GrowingAnswer] = asyncio.get_running_loop().create_future()
        flight.waiters.append(waiter)
        if flight.growing is not None:
            waiter.set_result(flight.growing)
        try:
            return await waiter, waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                waiter.exception()  # it came in the same moment, and asyncio is not to log it
            self._leave(key, flight, waiter)
            raise

    def _leave(self, key: bytes, flight: _Flight, waiter: asyncio.Future[Answer | GrowingAnswer]) -> None:
        flight.waiters.remove(waiter)
        if not flight.waiters:
            self._land(key, flight)
            flight.task.cancel()

    async def _fly(self, key: bytes, name: bytes | None, make: Callable[[Begin], Awaitable[Answer]]) -> None:
        flight = self._flights[key]

        def begin(growing: GrowingAnswer) -> None:
            flight.growing = growing
            for waiter in flight.waiters:
                if not waiter.done():
                    waiter.set_result(growing)

        try:
            answer = await make(begin)
        except BaseException as error:
            self._land(key, flight)
            if name is not None:
                self._names.pop(name, None)
            if flight.growing is not None:
                flight.growing.fail(error)
            for waiter in flight.waiters:
                if isinstance(error, Exception) and not waiter.done():
                    waiter.set_exception(error)
                else:
                    waiter.cancel()
            if not isinstance(error, Exception):
                raise
            return
        self._land(key, flight)
        self._store(key, answer)
        if flight.growing is not None:
            flight.growing.finish(answer)
        for waiter in flight.waiters:
            if not waiter.done():
                waiter.set_result(answer)

    def _land(self, key: bytes, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _claim(self, name: bytes, key: bytes) -> None:
        known = self._names.get(name)
        if known is not None and known[1] > self.clock() and known[0] != key:
            raise KeyReusedError
        self._names[name] = (key, self.clock() + self.kept_seconds)
        self._names.move_to_end(name)
        while len(self._names) > _NAMES_KEPT:
            self._names.popitem(last=False)

    def _store(self, key: bytes, answer: Answer) -> None:
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

    def _is_stored(self, expires: float, key: bytes) -> bool:
        stored = self._stored.get(key)
        return stored is not None and stored.expires == expires

    def _expire(self) -> None:
        now = self.clock()
        while self._expiries and self._expiries[0][0] <= now:
            expires, key = self._expiries.popleft()
            if self._is_stored(expires, key):
                self._drop(key)

    def _drop(self, key: bytes) -> None:
        stored = self._stored.pop(key, None)
        if stored is not None:
            self.stored_bytes -= _cost(stored.answer)


def _cost(answer: Answer) -> int:
    return len(answer.body) + _ENTRY_BYTES
