"""The jobs as the store has them: the one source of truth, so that any server can answer for any job.

What is written once and never changed is remembered; whether a job has ended is always asked of the store.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from speech_server.jobs import layout, records
from speech_server.jobs.layout import PART_CLIPS
from speech_server.jobs.records import End, JobOrder, Outcome, Tally
from speech_server.storage.store import ExistsError, NotFoundError, Store, StoredObject

T = TypeVar("T")

_JSON = "application/json"
_AT_ONCE = 16
# Orders are kept for the clips that come next: a batch of 10,000 is read once by each server, not 10,000 times.
_KEPT_ORDERS = 256
_KEPT_ORDER_CLIPS = 40_000
_KEPT_OUTCOMES = 20_000


class Ledger:
    """Every method raises StoreError."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._orders: OrderedDict[tuple[str, str], JobOrder] = OrderedDict()
        self._outcomes: OrderedDict[tuple[str, str], tuple[Outcome, ...]] = OrderedDict()  # by key and etag

    async def add_order(self, order: JobOrder) -> bool:
        """False if there is one of this id."""
        key = layout.order_key(order.client, order.id)
        # Those of thousands of clips take a tenth of a second to write or read.
        if not await self._create(key, await asyncio.to_thread(records.order_to_json, order)):
            return False
        self._remember(order)
        return True

    async def order(self, client: str, job: str) -> JobOrder | None:
        known = self._orders.get((client, job))
        if known is not None:
            self._orders.move_to_end((client, job))
            return known
        try:
            found = await self._store.get(layout.order_key(client, job))
        except NotFoundError:
            return None
        order = await asyncio.to_thread(records.order_from_json, found, client)
        self._remember(order)
        return order

    async def drop_order(self, order: JobOrder) -> None:
        self._orders.pop((order.client, order.id), None)
        await self._store.delete(layout.order_key(order.client, order.id))

    async def set_queued(self, order: JobOrder) -> None:
        data = records.note_to_json({"at": self._clock()})
        await self._store.put(layout.queued_key(order.client, order.id), data, _JSON)

    async def is_queued(self, order: JobOrder) -> bool:
        return await self._is_there(layout.queued_key(order.client, order.id))

    async def orders(self, client: str, after: str | None) -> AsyncIterator[str]:
        """The ids of the client's jobs, the newest first, from the one after the job `after` on."""
        start = None if after is None else layout.order_key(client, after)
        async for found in self._store.list(layout.orders_of(client), start):
            yield layout.client_and_job(found.key)[1]

    async def end(self, client: str, job: str) -> End | None:
        try:
            return records.end_from_json(await self._store.get(layout.done_key(client, job)))
        except NotFoundError:
            return None

    async def has_ended(self, client: str, job: str) -> bool:
        return await self._is_there(layout.done_key(client, job))

    async def set_end(self, order: JobOrder, end: End, replace: bool = False) -> bool:
        """False if the job has ended already and its end is not to be replaced."""
        key, data = layout.done_key(order.client, order.id), records.end_to_json(end)
        if replace:
            await self._store.put(key, data, _JSON)
            return True
        return await self._create(key, data)

    async def outcome(self, order: JobOrder, clip: int) -> Outcome | None:
        """The outcome of a clip of a batch."""
        try:
            return records.outcome_from_json(await self._store.get(layout.clip_key(order.client, order.id, clip)))
        except NotFoundError:
            return None

    async def set_outcome(self, order: JobOrder, outcome: Outcome, replace: bool = False) -> bool:
        """False if the clip has one already and it is not to be replaced."""
        key, data = layout.clip_key(order.client, order.id, outcome.clip), records.outcome_to_json(outcome)
        if replace:
            await self._store.put(key, data, _JSON)
            return True
        return await self._create(key, data)

    async def complete_part(self, order: JobOrder, part: int, replace: bool = False) -> bool:
        """Gather the outcomes of a part if all are there; whether they are."""
        folder = layout.clips_of_part(order.client, order.id, part)
        found = [entry async for entry in self._store.list(folder)]
        if len(found) < part_size(order.total, part):
            return False
        outcomes = await self._read_clips(found)
        key, data = layout.part_key(order.client, order.id, part), records.outcomes_to_json(outcomes)
        if replace:
            await self._store.put(key, data, _JSON)
        else:
            await self._create(key, data)
        return True

    async def complete_job(self, order: JobOrder) -> Tally | None:
        """What became of all clips of a batch; None while a part is not gathered."""
        folder = layout.parts_of(order.client, order.id)
        found = [entry async for entry in self._store.list(folder)]
        if len(found) < order.parts:
            return None
        parts = await self._read_parts(found)
        return Tally(order.total).with_outcomes(outcome for part in parts for outcome in part)

    async def tally(self, order: JobOrder) -> Tally:
        """How far a batch is that has not ended."""
        gathered, loose = await self._finished(order)
        return Tally(order.total).with_outcomes([*gathered, *loose])

    async def outcomes(self, order: JobOrder, first: int, count: int) -> dict[int, Outcome]:
        """The outcomes that there are of the clips `first` to `first + count - 1` of a batch."""
        found: dict[int, Outcome] = {}
        for part in range(first // PART_CLIPS, -(-min(first + count, order.total) // PART_CLIPS)):
            found.update((outcome.clip, outcome) for outcome in await self._outcomes_of_part(order, part))
        return {clip: outcome for clip, outcome in found.items() if first <= clip < first + count}

    async def missing(self, order: JobOrder) -> set[int]:
        """The clips of a batch that have no outcome."""
        gathered, loose = await self._finished(order)
        return set(range(order.total)) - {outcome.clip for outcome in (*gathered, *loose)}

    async def is_noted(self, client: str, job: str, name: str) -> bool:
        return await self._is_there(layout.told_key(client, job, name))

    async def note(self, client: str, job: str, name: str) -> None:
        data = records.note_to_json({"at": self._clock()})
        await self._store.put(layout.told_key(client, job, name), data, _JSON)

    async def _finished(self, order: JobOrder) -> tuple[list[Outcome], list[Outcome]]:
        """The outcomes in gathered parts, and the others."""
        parts = [entry async for entry in self._store.list(layout.parts_of(order.client, order.id))]
        complete = {layout.part_of_key(entry.key) for entry in parts}
        gathered = [outcome for part in await self._read_parts(parts) for outcome in part]
        # Parts are begun one after another, so the first ones are complete and need not be listed.
        begin = next((part for part in range(order.parts) if part not in complete), order.parts)
        after = None if begin == 0 else layout.clip_key(order.client, order.id, begin * PART_CLIPS - 1)
        loose = [
            entry
            async for entry in self._store.list(layout.clips_of(order.client, order.id), after)
            if layout.clip_of_key(entry.key) // PART_CLIPS not in complete
        ]
        return gathered, await self._read_clips(loose)

    async def _outcomes_of_part(self, order: JobOrder, part: int) -> Sequence[Outcome]:
        try:
            return records.outcomes_from_json(await self._store.get(layout.part_key(order.client, order.id, part)))
        except NotFoundError:
            folder = layout.clips_of_part(order.client, order.id, part)
            return await self._read_clips([entry async for entry in self._store.list(folder)])

    async def _read_clips(self, entries: Sequence[StoredObject]) -> list[Outcome]:
        read = await _gather(self._read(entry, lambda data: (records.outcome_from_json(data),)) for entry in entries)
        return [outcome for outcomes in read for outcome in outcomes]

    async def _read_parts(self, entries: Sequence[StoredObject]) -> list[tuple[Outcome, ...]]:
        return await _gather(
            self._read(entry, lambda data: tuple(records.outcomes_from_json(data))) for entry in entries
        )

    async def _read(self, entry: StoredObject, parse: Callable[[bytes], tuple[Outcome, ...]]) -> tuple[Outcome, ...]:
        if entry.etag is None:
            return parse(await self._store.get(entry.key))
        name = (entry.key, entry.etag)
        if name not in self._outcomes:
            self._outcomes[name] = parse(await self._store.get(entry.key))
        self._outcomes.move_to_end(name)
        while len(self._outcomes) > _KEPT_OUTCOMES:
            self._outcomes.popitem(last=False)
        return self._outcomes[name]

    async def _is_there(self, key: str) -> bool:
        try:
            await self._store.head(key)
        except NotFoundError:
            return False
        return True

    async def _create(self, key: str, data: bytes) -> bool:
        try:
            await self._store.put(key, data, _JSON, create=True)
        except ExistsError:
            return False
        return True

    def _remember(self, order: JobOrder) -> None:
        self._orders[order.client, order.id] = order
        clips = sum(kept.total for kept in self._orders.values())
        while len(self._orders) > 1 and (len(self._orders) > _KEPT_ORDERS or clips > _KEPT_ORDER_CLIPS):
            clips -= self._orders.popitem(last=False)[1].total


def part_size(total: int, part: int) -> int:
    return min(PART_CLIPS, total - part * PART_CLIPS)


async def _gather(work: Iterable[Awaitable[T]]) -> list[T]:
    """All of it, a few at a time, in order."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Awaitable[T]) -> T:
        async with places:
            return await item

    return list(await asyncio.gather(*map(one, work)))
