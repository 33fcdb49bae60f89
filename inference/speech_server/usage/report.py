"""What was used in a span of days, over all servers."""

from __future__ import annotations

import asyncio
import logging
from datetime import date, timedelta

from speech_server.storage.store import NotFoundError, Store
from speech_server.usage.ledger import Day, Use
from speech_server.usage.objects import folder_of, from_json

_READERS = 16

log = logging.getLogger("speech_server.usage")


async def usage_of(store: Store, first: date, last: date) -> dict[date, Day]:
    """Each day's use by client and kind, days without any left out. Raises StoreError."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    readers = asyncio.Semaphore(_READERS)
    found = await asyncio.gather(*(_day(store, day, readers) for day in days))
    return {day: accounts for day, accounts in zip(days, found, strict=True) if accounts}


async def _day(store: Store, day: date, readers: asyncio.Semaphore) -> Day:
    async with readers:
        keys = [entry.key async for entry in store.list(folder_of(day))]
    total: Day = {}
    for part in await asyncio.gather(*(_part(store, key, readers) for key in keys)):
        for account, use in part.items():
            total[account] = _sum(total.get(account, Use()), use)
    return total


async def _part(store: Store, key: str, readers: asyncio.Semaphore) -> Day:
    async with readers:
        try:
            return from_json(await store.get(key))
        except NotFoundError:
            return {}  # retention took it meanwhile
        except ValueError as error:
            log.error("usage_unreadable", extra={"fields": {"key": key, "problem": str(error)}})
            return {}


def _sum(one: Use, other: Use) -> Use:
    return Use(
        clips=one.clips + other.clips,
        characters=one.characters + other.characters,
        audio_seconds=one.audio_seconds + other.audio_seconds,
        synthesis_seconds=one.synthesis_seconds + other.synthesis_seconds,
    )
