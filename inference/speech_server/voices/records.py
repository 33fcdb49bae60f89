"""The records of voices as this replica knows them: asked for again so often that a deletion is noticed in time."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from speech_server.storage.store import NotFoundError, Store, StoreError
from speech_server.voices.places import record_key
from speech_server.voices.voice import Voice, voice_of

# A voice is used on the strength of its record for this long, then the store is asked again. With the time that the
# question takes this is well below the minute within which a deleted voice is gone everywhere.
FRESH_SECONDS = 40.0
_KEPT_RECORDS = 4096


@dataclass(frozen=True)
class _Known:
    voice: Voice
    confirmed: float  # by the clock


class VoiceRecords:
    """`clock` gives seconds and never goes back."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, voice_id: str, max_age: float = FRESH_SECONDS) -> Voice | None:
        """The voice, confirmed by the store at most `max_age` seconds ago; None if there is none. Raises StoreError,
        in an outage at once.
        """
        fresh = self._fresh(voice_id, max_age)
        if fresh is not None:
            return fresh
        lock = self._asking.setdefault(voice_id, asyncio.Lock())
        async with lock:
            # Somebody else may have asked meanwhile.
            return self._fresh(voice_id, max_age) or await self._ask(voice_id)

    def age(self, voice_id: str) -> float:
        """Seconds since the voice was confirmed; infinite for one that is not known."""
        known = self._known.get(voice_id)
        return float("inf") if known is None else self._clock() - known.confirmed

    def forget(self, voice_id: str) -> None:
        self._known.pop(voice_id, None)

    def _fresh(self, voice_id: str, max_age: float) -> Voice | None:
        known = self._known.get(voice_id)
        if known is None or self._clock() - known.confirmed > max_age:
            return None
        return known.voice

    async def _ask(self, voice_id: str) -> Voice | None:
        if self._store.failing_since is not None:
            # Nobody waits out the time limits of a store that is known to be away: `Store.watch` asks for all.
            raise StoreError("the store is failing")
        asked = self._clock()
        try:
            voice = voice_of(await self._store.get(record_key(voice_id)))
        except NotFoundError:
            self.forget(voice_id)
            return None
        except ValueError as error:
            raise StoreError(f"voice {voice_id}: {error}") from None
        self._known[voice_id] = _Known(voice, asked)
        self._known.move_to_end(voice_id)
        if len(self._known) > _KEPT_RECORDS:
            self._known.popitem(last=False)
        return voice
