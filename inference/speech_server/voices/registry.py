"""The clients' voices: kept in the store, the same on every replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from speech_server.engines.base import Reference
from speech_server.errors import ApiError, shown
from speech_server.storage.answers import store_unavailable
from speech_server.storage.store import NotFoundError, Store, StoreError
from speech_server.voices.places import VOICES, id_of_record, is_id, name_key
from speech_server.voices.records import VoiceRecords
from speech_server.voices.registration import id_in_claim
from speech_server.voices.samples import VoiceSamples
from speech_server.voices.statements import MAX_NAME_CHARS, canonical_name
from speech_server.voices.voice import Voice

_READS_AT_ONCE = 16
# Whoever lists does not decide what may be spoken: a record may be as old as this.
_LISTED_AGE_SECONDS = 3600.0
_KEPT_NAMES = 4096


class Voices:
    """A voice deleted on another replica is unknown here within a minute, and its sample is gone from the disk.

    For that `sweep` must run. `clock` gives seconds and never goes back. Raises OSError when it is made and `folder`
    cannot be used.
    """

    def __init__(self, store: Store, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._records = VoiceRecords(store, clock)
        self._samples = VoiceSamples(store, self._records, folder, clock)
        self._ids: dict[tuple[str, str], str] = {}

    async def resolve(self, client: str, voice: str, every: bool = False) -> Voice:
        """The voice with this id, or the client's own with this name. `every`: by id any client's.

        Raises ApiError: 404 voice_not_found (another client's private voice looks the same as none), 503
        store_unavailable.
        """
        try:
            found = await (self._records.get(voice) if is_id(voice) else self._by_name(client, voice))
        except StoreError as error:
            raise store_unavailable(error) from None
        if found is None or not (every or found.visible_to(client)):
            raise voice_not_found(voice)
        return found

    async def reference(self, voice: Voice) -> Reference:
        """The voice's sample as a file for the engine, downloaded once.

        To be called again when the engine is about to read it, if the request had to wait: this costs no more than
        a look into memory, and finds out that the voice was deleted meanwhile. The file stays for at least 20 s after
        the last call. Raises ApiError as `resolve` does.
        """
        try:
            if await self._records.get(voice.id) is None:
                raise voice_not_found(voice.id)
            reference = await self._samples.reference(voice)
        except StoreError as error:
            raise store_unavailable(error) from None
        if reference is None:
            raise voice_not_found(voice.id)
        return reference

    async def visible(self, client: str) -> list[Voice]:
        """All that the client may speak with, the newest first. Raises ApiError 503."""
        try:
            ids = [
                voice_id
                async for found in self._store.list(VOICES)
                if (voice_id := id_of_record(found.key)) is not None
            ]
            voices: list[Voice | None] = []
            for start in range(0, len(ids), _READS_AT_ONCE):
                some = ids[start : start + _READS_AT_ONCE]
                voices += await asyncio.gather(*(self._records.get(one, _LISTED_AGE_SECONDS) for one in some))
        except StoreError as error:
            raise store_unavailable(error) from None
        found = [voice for voice in voices if voice is not None and voice.visible_to(client)]
        return sorted(found, key=lambda voice: (voice.created_at, voice.id), reverse=True)

    def forget(self, voice: Voice) -> None:
        """It was deleted: what is known of it here is no longer true."""
        self._records.forget(voice.id)
        self._ids.pop((voice.owner, voice.name), None)

    async def sweep(self) -> None:
        """Runs until cancelled."""
        await self._samples.sweep()

    async def _by_name(self, client: str, name: str) -> Voice | None:
        if len(name) > MAX_NAME_CHARS:
            return None
        name = canonical_name(name)
        known = self._ids.get((client, name))
        if known is not None:
            # As long as there is a voice, its name cannot be another's.
            voice = await self._records.get(known)
            if voice is not None:
                return voice
            del self._ids[client, name]
        return await self._look_up(client, name)

    async def _look_up(self, client: str, name: str) -> Voice | None:
        if self._store.failing_since is not None:
            raise StoreError("the store is failing")
        try:
            voice_id = id_in_claim(await self._store.get(name_key(client, name)))
        except NotFoundError:
            return None
        voice = await self._records.get(voice_id)
        if voice is not None:
            if len(self._ids) >= _KEPT_NAMES:
                self._ids.clear()
            self._ids[client, name] = voice_id
        return voice


def voice_not_found(voice: str) -> ApiError:
    return ApiError(404, "voice_not_found", f"there is no voice {shown(voice)} here", "voice")
