"""From an order to the bytes of a clip: check, wait for the turn, speak, fit the length, encode."""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from typing import Literal

from speech_server.answers import Answer, GrowingAnswer
from speech_server.clip import Clip
from speech_server.clip_in_parts import ClipInParts, at_pace, may_grow
from speech_server.dedup import RUN, Begin, Dedup, KeyReusedError, fingerprint
from speech_server.engines.base import Capabilities, Emotion, Reference, Spoken, Utterance
from speech_server.errors import ApiError, shown
from speech_server.finishing import finish
from speech_server.lane import Priority
from speech_server.order import SpeechOrder, identity, speakable
from speech_server.reference_store import ReferenceStore
from speech_server.speaker import Speaker
from speech_server.spoken_language import check_language
from speech_server.tenants.limits import ClientLimits
from speech_server.timing import native_factor
from speech_server.voices.voice import Voice


@dataclass(frozen=True)
class Pipeline:
    """The parts that a clip goes through."""

    limits: ClientLimits
    dedup: Dedup
    references: ReferenceStore
    speaker: Speaker
    max_text_chars: int

    async def answer(
        self, order: SpeechOrder, client: str, idempotency_key: str | None, reply_seconds: float
    ) -> tuple[Answer, bool]:
        """The clip, and whether it is a repetition. Cancelled, it takes its synthesis along if nobody shares it.

        `reply_seconds`: what cannot be there by then is not begun. Raises ApiError.
        """
        deadline = time.monotonic() + reply_seconds
        text = speakable(order, self.max_text_chars)
        self._begin(client)
        try:
            clip = await self._clip(order, text, client, deadline, reply_seconds, reply_seconds)
            key = _key(clip, "whole")
            answer, how = await self.dedup.answer(key, lambda: self._within_budget(clip), client, idempotency_key)
        except KeyReusedError:
            raise _key_reused() from None
        finally:
            self.limits.end(client)
        if how != RUN:
            self.speaker.metrics.dedup_hits(how).inc()
        return answer, how != RUN

    async def grow(
        self,
        order: SpeechOrder,
        client: str,
        idempotency_key: str | None,
        reply_seconds: float,
        whole_seconds: float,
        leaving: contextlib.ExitStack,
    ) -> tuple[Answer | GrowingAnswer, bool]:
        """As `answer`; of a clip of several segments the beginning, once it is there. The caller closes `leaving` when
        done with what it was given, in any case: closed before its end, its synthesis is cancelled if nobody shares it.

        `reply_seconds`: what has not begun by then is not begun any more, nor is what cannot be at its end by
        `whole_seconds`. Raises ApiError.
        """
        arrived = time.monotonic()
        if not may_grow(order, await self.speaker.engine()):
            return await self.answer(order, client, idempotency_key, reply_seconds)
        text = speakable(order, self.max_text_chars)
        self._begin(client)
        leaving.callback(self.limits.end, client)
        clip = await self._clip(order, text, client, None, reply_seconds, whole_seconds)
        # the lane reckons with the whole of it
        least = clip.audio_seconds * self.speaker.speed.value if self.speaker.speed.sure else 0.0
        clip.deadline = arrived + min(reply_seconds + least, whole_seconds)

        def make(begin: Begin) -> Awaitable[Answer]:
            clip.begin = begin
            return self._within_budget(clip)

        try:
            answer, how = await self.dedup.growing(_key(clip, "growing"), make, leaving, client, idempotency_key)
        except KeyReusedError:
            raise _key_reused() from None
        if how != RUN:
            self.speaker.metrics.dedup_hits(how).inc()
        return answer, how != RUN

    async def make_clip(self, order: SpeechOrder, client: str, begun: Callable[[float], None]) -> Answer:
        """The clip of a job: in the lane's batch turn, and never refused for a full lane. Cancelled, it takes its
        synthesis along; called again with the same order, it speaks again. `begun` is called when its turn has come,
        with the seconds that the engine is expected to take; infinite before enough was measured.

        Raises ApiError: below 500 and not 429 it is final, else the same call may succeed later.
        """
        with self.speaker.lane.batch_clip():
            text = speakable(order, self.max_text_chars)
            clip = await self._clip(order, text, client, None, math.inf, math.inf, Priority.BATCH)
            clip.begun = begun
            return await self._make(clip)

    async def _clip(
        self,
        order: SpeechOrder,
        text: str,
        client: str,
        deadline: float | None,
        reply_seconds: float,
        whole_seconds: float,
        priority: Priority = Priority.INTERACTIVE,
    ) -> Clip:
        await self._check_language(order)
        voice = await self._voice(order, client)
        expected = self.speaker.lengths.expect(text, order.language, client, _voice_key(order, voice))
        return Clip(order, text, voice, client, priority, deadline, reply_seconds, whole_seconds, expected)

    def _begin(self, client: str) -> None:
        try:
            self.limits.begin(client)
        except ApiError as error:
            self.speaker.metrics.refused(error.code).inc()
            raise

    async def _check_language(self, order: SpeechOrder) -> None:
        if order.language is not None:
            check_language(order.language, await self.speaker.engine())

    async def _voice(self, order: SpeechOrder, client: str) -> Voice | None:
        """The client's registered voice; None if it is the engine's own, or a sample's. Raises ApiError."""
        if order.voice is None:
            return None
        capabilities = await self.speaker.engine()
        if order.voice in capabilities.voices:
            return None
        if self.speaker.voices is None:
            raise no_such_voice(order.voice, capabilities)
        return await self.speaker.voices.resolve(client, order.voice)

    async def _within_budget(self, clip: Clip) -> Answer:
        """`_make`, paid from the client's minute: first as estimated, then as it was."""
        self.speaker.check_length(clip)
        if clip.order.reference_audio is not None or clip.order.emotion is not None:
            self.speaker.check_lane(clip)  # before the costs of decoding a sample
        try:
            self.limits.spend(clip.client, clip.audio_seconds)
        except ApiError as error:
            self.speaker.metrics.refused(error.code).inc()
            raise
        spoken_seconds = 0.0
        try:
            answer = await self._make(clip)
            spoken_seconds = answer.audio_seconds
            return answer
        finally:
            if clip.parts is not None:  # what was spoken before it failed, or its client left, was heard
                spoken_seconds = clip.parts.seconds
            self.limits.correct(clip.client, spoken_seconds - clip.audio_seconds)

    async def _make(self, clip: Clip) -> Answer:
        capabilities = await self.speaker.engine()
        utterance = await self._utterance(clip, capabilities)
        factor = utterance.duration_factor
        engine = f"{capabilities.name}/{capabilities.version}"
        if clip.begin is not None and at_pace(clip.order.timing, factor):
            clip.parts = ClipInParts(clip.order, factor, engine, clip.begin)
            if utterance.seed is None:  # or it could not go on after a fault as it began
                utterance = replace(utterance, seed=secrets.randbits(32))
        spoken, seconds = await self.speaker.speak(clip, utterance)
        with self.speaker.traces.span("encode"):
            if isinstance(spoken, Spoken):
                return await finish(clip.order, spoken, factor, seconds, engine)
            return await spoken.finish(seconds)

    async def _utterance(self, clip: Clip, capabilities: Capabilities) -> Utterance:
        order = clip.order
        factor = None
        if capabilities.native_duration:
            # A seed promises the same speech again, whatever was learned meanwhile.
            expected = clip.expected if order.seed is None else clip.expected.unlearned()
            factor = native_factor(order.timing, expected.seconds, expected.error, capabilities.duration_factors)
        if clip.voice is not None:
            assert self.speaker.voices is not None
            reference = await self.speaker.voices.reference(clip.voice)
        else:
            reference = await self._sample(order.reference_audio, "reference_audio")
        emotion = None
        if order.emotion is not None:
            emotion = Emotion(
                type=order.emotion.type,
                description=order.emotion.description,
                vector=order.emotion.vector,
                reference=await self._sample(order.emotion.audio, "emotion_control.audio"),
                intensity=order.emotion.intensity,
            )
        return Utterance(
            text=clip.text,
            language=order.language,
            voice=None if clip.voice is not None else order.voice,
            reference=reference,
            emotion=emotion,
            duration_factor=factor,
            seed=order.seed,
            small_footprint=False,
        )

    async def _sample(self, audio: str | None, param: str) -> Reference | None:
        if audio is None:
            return None
        return await asyncio.to_thread(self.references.keep, audio, param)


def _voice_key(order: SpeechOrder, voice: Voice | None) -> Hashable:
    """What tells the voices of one client from one another."""
    if voice is not None:
        return voice.id
    return order.voice if order.reference_audio is None else hash(order.reference_audio)


def _key(clip: Clip, kind: Literal["whole", "growing"]) -> bytes:
    voice = None if clip.voice is None else (clip.voice.id, clip.voice.sha256)
    return fingerprint(clip.client, identity(clip.order), voice, kind)


def _key_reused() -> ApiError:
    message = "this Idempotency-Key came with another request before: use a new key for a new request"
    return ApiError(422, "idempotency_key_reused", message, "Idempotency-Key")


def no_such_voice(voice: str, capabilities: Capabilities) -> ApiError:
    """For a server without a store, which has no voices but the engine's."""
    message = f"voice must be one of {', '.join(capabilities.voices)}, not {shown(voice)}"
    return ApiError(400, "voice_not_found", message, "voice")
