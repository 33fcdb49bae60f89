"""How a voice comes into the store and out of it, whichever replica is asked and wherever it may be interrupted.

A voice is there if its record is. Its name is claimed before (one object a name, written only if there is none), so
that two requests cannot give one name to two voices; a claim without a record is what an interrupted upload left, and
the next one completes it. On the way out the record goes last, so that a deletion can be tried again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from speech_server.audio.decode import AudioError, DecodedReference, sample_wav
from speech_server.errors import ApiError, shown
from speech_server.storage.answers import store_unavailable
from speech_server.storage.store import ExistsError, NotFoundError, Store, StoreError
from speech_server.voices.audit import AuditLog
from speech_server.voices.places import is_id, name_key, names_folder, new_id, record_key, sample_key
from speech_server.voices.sample import check_sample
from speech_server.voices.statements import Statements
from speech_server.voices.voice import Voice, record_of, voice_of


@dataclass(frozen=True)
class Registration:
    """The way in and out. `max_voices`: of one client."""

    store: Store
    audit: AuditLog
    max_voices: int

    async def add(self, client: str, statements: Statements, audio: bytes) -> Voice:
        """The new voice. The same request again gives the same voice. Raises ApiError: 400 audio_... for the sample,
        409 voice_name_taken, 403 too_many_voices, 503 store_unavailable.
        """
        try:
            decoded, content = await asyncio.to_thread(_checked, audio)
        except AudioError as error:
            raise ApiError(400, error.code, f"audio_sample: {error.message}", "audio_sample") from None
        wanted = Voice(
            id=new_id(),
            name=statements.name,
            owner=client,
            scope=statements.scope,
            created_at=datetime.now(timezone.utc),
            sha256=hashlib.sha256(content).hexdigest(),
            seconds=round(decoded.seconds, 3),
            sample_rate=decoded.sample_rate,
            consent=statements.consent,
            source=statements.source,
        )
        try:
            return await self._add(wanted, content)
        except StoreError as error:
            raise store_unavailable(error) from None

    async def delete(self, voice: Voice, by: str) -> None:
        """Raises ApiError 503; the same call then completes what was begun."""
        try:
            await self._remove(voice, by)
        except StoreError as error:
            raise store_unavailable(error) from None

    async def _add(self, wanted: Voice, content: bytes) -> Voice:
        claim = name_key(wanted.owner, wanted.name)
        voice_id = await self._claimed(claim)
        if voice_id is None:
            await self._check_room(wanted.owner)
            voice_id = await self._claim(claim, wanted)
        there = await self._voice(voice_id)
        if there is None:
            there = await self._complete(replace(wanted, id=voice_id), content)
            if await self._claimed(claim) != voice_id:
                # The claim was that of a voice which was deleted just now: it must not come back without its name.
                await self._remove(there, wanted.owner)
                raise StoreError(f"{voice_id} was deleted while it was being added")
        return _same_or_taken(wanted, there)

    async def _remove(self, voice: Voice, by: str) -> None:
        claim = name_key(voice.owner, voice.name)
        await self.audit.write("deleted", by, voice)
        if await self._claimed(claim) == voice.id:
            await self.store.delete(claim)
        await self.store.delete(sample_key(voice.id, voice.sha256))
        await self.store.delete(record_key(voice.id))

    async def _complete(self, voice: Voice, content: bytes) -> Voice:
        """Under a name that is claimed; the voice that is there in the end may be that of another request."""
        await self.store.put(sample_key(voice.id, voice.sha256), content, "audio/wav")
        await self.audit.write("added", voice.owner, voice)
        try:
            await self.store.put(record_key(voice.id), record_of(voice), "application/json", create=True)
        except ExistsError:
            there = await self._voice(voice.id)
            if there is None:
                raise StoreError(f"{voice.id} came and went while it was being added") from None
            if there.sha256 != voice.sha256:
                await self.store.delete(sample_key(voice.id, voice.sha256))
            return there
        return voice

    async def _claim(self, claim: str, wanted: Voice) -> str:
        content = json.dumps({"id": wanted.id, "name": wanted.name}).encode()
        try:
            await self.store.put(claim, content, "application/json", create=True)
        except ExistsError:
            voice_id = await self._claimed(claim)
            if voice_id is None:
                raise StoreError(f"the claim {claim} came and went") from None
            return voice_id
        return wanted.id

    async def _claimed(self, claim: str) -> str | None:
        try:
            return id_in_claim(await self.store.get(claim))
        except NotFoundError:
            return None

    async def _voice(self, voice_id: str) -> Voice | None:
        try:
            return voice_of(await self.store.get(record_key(voice_id)))
        except NotFoundError:
            return None
        except ValueError as error:
            raise StoreError(f"voice {voice_id}: {error}") from None

    async def _check_room(self, client: str) -> None:
        count = 0
        async for _ in self.store.list(names_folder(client)):
            count += 1
        if count >= self.max_voices:
            message = f"{client} has {count:,} voices, as many as one client may have: delete one first"
            raise ApiError(403, "too_many_voices", message)


def id_in_claim(content: bytes) -> str:
    """Which voice has the name that was claimed. Raises StoreError for what is no claim."""
    try:
        voice_id = json.loads(content)["id"]
    except (ValueError, KeyError, TypeError):
        voice_id = None
    if not isinstance(voice_id, str) or not is_id(voice_id):
        raise StoreError("a claim of a voice's name cannot be read")
    return voice_id


def _checked(audio: bytes) -> tuple[DecodedReference, bytes]:
    """Blocking work: the sample, and as what it is stored. Raises AudioError."""
    decoded = check_sample(audio)
    return decoded, sample_wav(decoded)


def _same_or_taken(wanted: Voice, there: Voice) -> Voice:
    """Whoever sends a request again, because the answer was lost, gets that answer."""
    if replace(wanted, id=there.id, created_at=there.created_at) == there:
        return there
    message = f"there is a voice {shown(wanted.name)} already: delete it first, or take another name"
    raise ApiError(409, "voice_name_taken", message, "name")
