"""From a request to an accepted job: nothing is accepted and lost, nothing is refused and spoken.

A job is accepted when its order is in the store and its first message is in the queue, in this order. When the queue
cannot be reached, the order is taken back. With an Idempotency-Key it stays, because the request may be repeated on
another server at the same time: the repetition finds it and puts the message into the queue.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_server.api.generate import GenerateRequest
from speech_server.errors import ApiError, retry_later
from speech_server.jobs import layout, records
from speech_server.jobs.ids import new_job_id
from speech_server.jobs.ledger import Ledger
from speech_server.jobs.messages import SpeakClip, StartPart, Task, to_body
from speech_server.jobs.records import ClipOrder, JobOrder
from speech_server.jobs.request import JobRequest, checked_orders, of_clip
from speech_server.order import SpeechOrder
from speech_server.pipeline import Pipeline
from speech_server.queues.base import Queue, QueueError
from speech_server.reference_store import ReferenceStore
from speech_server.storage.store import ExistsError, NotFoundError, Store, StoreError
from speech_server.voices.registry import Voices

_RETRY_SECONDS = 5.0

log = logging.getLogger("speech_server.jobs")


@dataclass(frozen=True)
class Acceptance:
    """What it takes to accept a job."""

    store: Store
    queue: Queue
    ledger: Ledger
    pipeline: Pipeline
    references: ReferenceStore
    voices: Voices
    loopback_webhooks: bool
    clock: Callable[[], float] = time.time

    async def accept(self, request: JobRequest, client: str, idempotency_key: str | None) -> tuple[JobOrder, bool]:
        """The job, and whether it is an earlier one. Raises ApiError."""
        try:
            if idempotency_key is None:
                order = await self._order(request, client, new_job_id(self.clock()))
                await self._place(order, again=False)
                return order, False
            return await self._accept_once(request, client, idempotency_key)
        except StoreError as error:
            log.error("job_refused", extra={"fields": {"client": client, "reason": str(error)}})
            raise _store_unavailable() from None

    async def _accept_once(self, request: JobRequest, client: str, idempotency_key: str) -> tuple[JobOrder, bool]:
        key = layout.idempotency_key(client, hashlib.sha256(idempotency_key.encode()).hexdigest())
        fingerprint = await asyncio.to_thread(_fingerprint, request)
        claim = await self._claim(key)
        if claim is None:
            # Checked first: a request that is refused must not take the key.
            order = await self._order(request, client, new_job_id(self.clock()))
            claim = {"job": order.id, "fingerprint": fingerprint}
            if await self._create(key, claim):
                await self._place(order, again=True)
                return order, False
            claim = await self._claim(key) or claim
        if claim["fingerprint"] != fingerprint:
            message = "this Idempotency-Key came with another request before: use a new key for a new request"
            raise ApiError(422, "idempotency_key_reused", message, "Idempotency-Key")
        job = str(claim["job"])
        order = await self.ledger.order(client, job)
        if order is None:  # whoever claimed the key did not come further
            order = await self._order(request, client, job)
        if not await self.ledger.is_queued(order):
            await self._place(order, again=True)
        return order, True

    async def _place(self, order: JobOrder, again: bool) -> None:
        """`again`: the request may be repeated, here or elsewhere, so what is done is left for the repetition."""
        try:
            await self.ledger.add_order(order)
            await self.queue.send([to_body(first_task(order))])
        except (QueueError, StoreError, asyncio.CancelledError) as error:
            if not again:
                await asyncio.shield(self._take_back(order))
            if isinstance(error, QueueError):
                raise _queue_unavailable(error, order) from None
            raise
        try:
            await self.ledger.set_queued(order)
        except StoreError as error:
            # It is in the queue, which is what counts; only the queue's loss of the message would not be noticed.
            log.warning("job_not_marked_queued", extra={"fields": {"job": order.id, "reason": str(error)}})

    async def _take_back(self, order: JobOrder) -> None:
        try:
            await self.ledger.drop_order(order)
        except StoreError as error:
            log.error("job_not_taken_back", extra={"fields": {"job": order.id, "reason": str(error)}})

    async def _order(self, request: JobRequest, client: str, job: str) -> JobOrder:
        limits = (self.pipeline.max_text_chars, self.loopback_webhooks, self.pipeline.speaker.host.capabilities)
        if request.clips is None:
            checked = checked_orders(request, *limits)
        else:  # ten thousand clips take half a second
            checked = await asyncio.to_thread(checked_orders, request, *limits)
        numbered = [(_where(request, number), clip, order) for number, (clip, order) in enumerate(checked)]
        voices = await self._pin_voices(client, numbered)
        samples = await self._keep_samples(client, numbered)
        clips = await asyncio.to_thread(_clip_orders, numbered, voices, samples)
        return JobOrder(job, client, self.clock(), clips, request.webhook)

    async def _pin_voices(self, client: str, clips: Iterable[_Numbered]) -> dict[str, _Pinned]:
        """Each voice that is named, by its name. Raises ApiError."""
        pinned: dict[str, _Pinned] = {}
        for number, _, order in clips:
            if order.voice is not None and order.voice not in pinned:
                pinned[order.voice] = await _of_clip(number, self._pin(client, order.voice))
        return pinned

    async def _pin(self, client: str, voice: str) -> _Pinned:
        known = self.pipeline.speaker.host.capabilities
        if known is not None and voice in known.voices:
            return _Pinned(voice, None)
        try:
            found = await self.voices.resolve(client, voice)
        except ApiError as error:
            if error.status != 404:
                raise
            # An engine that is loading has not told its own voices yet: the client is asked to come back, not refused.
            if voice not in (await self.pipeline.speaker.engine()).voices:
                raise
            return _Pinned(voice, None)
        return _Pinned(found.id, found.sha256)

    async def _keep_samples(self, client: str, clips: Iterable[_Numbered]) -> dict[str, str]:
        """The sha256 of each sample, by its base64; each is stored once. Raises ApiError."""
        kept: dict[str, str] = {}
        for number, _, order in clips:
            emotion = None if order.emotion is None else order.emotion.audio
            for audio, param in ((order.reference_audio, "reference_audio"), (emotion, "emotion_control.audio")):
                if audio is not None and audio not in kept:
                    kept[audio] = await _of_clip(number, self._keep_sample(client, audio, param))
        return kept

    async def _keep_sample(self, client: str, audio: str, param: str) -> str:
        # Checked and decoded now, so that a sample that cannot be used is told at once and stored as plain WAV.
        reference = await asyncio.to_thread(self.references.keep, audio, param)
        data = await asyncio.to_thread(Path(reference.path).read_bytes)
        # Written again if it is there: uploads are deleted by age, and this one is wanted from now on.
        await self.store.put(layout.upload_key(client, reference.sha256), data, "audio/wav")
        return reference.sha256

    async def _claim(self, key: str) -> dict[str, Any] | None:
        try:
            return json.loads(await self.store.get(key))
        except NotFoundError:
            return None

    async def _create(self, key: str, claim: dict[str, Any]) -> bool:
        try:
            await self.store.put(key, records.note_to_json(claim), "application/json", create=True)
        except ExistsError:
            return False
        return True


def first_task(order: JobOrder) -> Task:
    """What has to be done first for a job; all else follows from it."""
    if order.total == 1:
        return SpeakClip(order.client, order.id, 0)
    return StartPart(order.client, order.id, 0)


@dataclass(frozen=True)
class _Pinned:
    voice: str
    sha256: str | None


_Numbered = tuple[int | None, GenerateRequest, SpeechOrder]  # the number only for a clip of a batch


def _where(request: JobRequest, number: int) -> int | None:
    return None if request.clips is None else number


async def _of_clip(number: int | None, work: Awaitable[Any]) -> Any:
    try:
        return await work
    except ApiError as error:
        if number is None:
            raise
        raise of_clip(error, number) from None


def _clip_orders(numbered: list[_Numbered], voices: dict[str, _Pinned], samples: dict[str, str]) -> list[ClipOrder]:
    return [_clip_order(clip, order, voices, samples) for _, clip, order in numbered]


def _clip_order(
    clip: GenerateRequest, order: SpeechOrder, voices: dict[str, _Pinned], samples: dict[str, str]
) -> ClipOrder:
    fields = clip.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    reference = fields.pop("reference_audio", None)
    emotion = fields.get("emotion_control", {}).pop("audio", None)
    pinned = None if order.voice is None else voices[order.voice]
    if pinned is not None:
        fields["voice"] = pinned.voice
    return ClipOrder(
        fields=fields,
        reference_sha256=None if reference is None else samples[reference],
        emotion_sha256=None if emotion is None else samples[emotion],
        voice_sha256=None if pinned is None else pinned.sha256,
    )


def _fingerprint(request: JobRequest) -> str:
    return hashlib.sha256(request.model_dump_json(exclude_unset=True).encode()).hexdigest()


def _store_unavailable() -> ApiError:
    return retry_later(
        503, "store_unavailable", "the store cannot be reached: the job was not accepted", _RETRY_SECONDS
    )


def _queue_unavailable(error: QueueError, order: JobOrder) -> ApiError:
    log.error("job_refused", extra={"fields": {"job": order.id, "reason": str(error)}})
    return retry_later(
        503, "queue_unavailable", "the queue cannot be reached: the job was not accepted", _RETRY_SECONDS
    )
