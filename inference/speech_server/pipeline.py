"""From an order to the bytes of a clip: check, wait for the turn, speak, fit the length, encode."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from typing import Literal

from speech_server.answers import Answer, GrowingAnswer
from speech_server.clip_in_parts import ClipInParts, at_pace, may_grow
from speech_server.dedup import RUN, Begin, Dedup, KeyReusedError, fingerprint
from speech_server.engines.base import Capabilities, Emotion, Reference, Spoken, Utterance, UtteranceError
from speech_server.engines.host import EngineNotReadyError
from speech_server.engines.pool import EnginePool
from speech_server.engines.worker_process import EngineFaultError
from speech_server.errors import ApiError, retry_later, shown
from speech_server.estimates.deadline import call_deadline
from speech_server.estimates.lengths import Expected, Lengths
from speech_server.estimates.speed import RealTimeFactor
from speech_server.finishing import finish
from speech_server.lane import Lane, LaneFullError, Priority, TooLateError, Turn
from speech_server.metrics import Metrics
from speech_server.order import SpeechOrder, identity
from speech_server.reference_store import ReferenceStore
from speech_server.spoken_language import check_language
from speech_server.tenants.limits import ClientLimits
from speech_server.text.pinyin import PinyinError, number_pinyin
from speech_server.text.speakable import TextError, clean_text, has_speech
from speech_server.timing import native_factor
from speech_server.traces import Traces
from speech_server.usage.ledger import Ledger
from speech_server.voices.registry import Voices
from speech_server.voices.voice import Voice

# A request that meets a restarting engine waits this long for it: an engine without weights is back in a second,
# and for one that loads for minutes another server is the better choice.
_READY_SECONDS = 10.0
_ENGINE_RETRY_SECONDS = 2.0
_KINDS = {Priority.INTERACTIVE: "request", Priority.BATCH: "job"}

log = logging.getLogger("speech_server.speech")


@dataclass(slots=True)
class _Clip:
    """One clip on its way. `deadline` (time.monotonic) is of its synthesis; a job's clip waits as long as it must."""

    order: SpeechOrder
    text: str  # as the engine gets it
    voice: Voice | None
    client: str
    priority: Priority
    deadline: float | None
    reply_seconds: float  # from its arrival to the deadline
    whole_seconds: float  # from its arrival to its end: longer, if the beginning is what must be there by the deadline
    expected: Expected
    begun: Callable[[float], None] | None = None  # called in its turn, with what the engine should take
    begin: Begin | None = None  # to be called with its beginning, if that is there before its end
    parts: ClipInParts | None = None  # it is spoken in them

    @property
    def audio_seconds(self) -> float:
        return self.expected.seconds


@dataclass(frozen=True)
class Pipeline:
    """The parts that a clip goes through. A server without a store has no `voices`."""

    limits: ClientLimits
    dedup: Dedup
    references: ReferenceStore
    voices: Voices | None
    lane: Lane
    speed: RealTimeFactor
    lengths: Lengths
    host: EnginePool
    metrics: Metrics
    traces: Traces
    ledger: Ledger
    max_text_chars: int
    call_seconds: float

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
            self.metrics.dedup_hits(how).inc()
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
        if not may_grow(order, await self.engine()):
            return await self.answer(order, client, idempotency_key, reply_seconds)
        text = speakable(order, self.max_text_chars)
        self._begin(client)
        leaving.callback(self.limits.end, client)
        clip = await self._clip(order, text, client, None, reply_seconds, whole_seconds)
        # the lane reckons with the whole of it
        least = clip.audio_seconds * self.speed.value if self.speed.sure else 0.0
        clip.deadline = arrived + min(reply_seconds + least, whole_seconds)

        def make(begin: Begin) -> Awaitable[Answer]:
            clip.begin = begin
            return self._within_budget(clip)

        try:
            answer, how = await self.dedup.growing(_key(clip, "growing"), make, leaving, client, idempotency_key)
        except KeyReusedError:
            raise _key_reused() from None
        if how != RUN:
            self.metrics.dedup_hits(how).inc()
        return answer, how != RUN

    async def make_clip(self, order: SpeechOrder, client: str, begun: Callable[[float], None]) -> Answer:
        """The clip of a job: in the lane's batch turn, and never refused for a full lane. Cancelled, it takes its
        synthesis along; called again with the same order, it speaks again. `begun` is called when its turn has come,
        with the seconds that the engine is expected to take; infinite before enough was measured.

        Raises ApiError: below 500 and not 429 it is final, else the same call may succeed later.
        """
        with self.lane.batch_clip():
            text = speakable(order, self.max_text_chars)
            await self._check_language(order)
            voice = await self._voice(order, client)
            expected = self.lengths.expect(text, order.language, client, _speaker(order, voice))
            clip = _Clip(order, text, voice, client, Priority.BATCH, None, math.inf, math.inf, expected, begun)
            return await self._make(clip)

    async def engine(self) -> Capabilities:
        """What the engine is; waits a little for one that is loading. Raises ApiError."""
        if self.host.capabilities is None:
            try:
                await self.host.wait_ready(_READY_SECONDS)
            except EngineNotReadyError as error:
                raise _unavailable(error) from None
        assert self.host.capabilities is not None
        return self.host.capabilities

    async def _clip(
        self,
        order: SpeechOrder,
        text: str,
        client: str,
        deadline: float | None,
        reply_seconds: float,
        whole_seconds: float,
    ) -> _Clip:
        await self._check_language(order)
        voice = await self._voice(order, client)
        expected = self.lengths.expect(text, order.language, client, _speaker(order, voice))
        return _Clip(order, text, voice, client, Priority.INTERACTIVE, deadline, reply_seconds, whole_seconds, expected)

    def _begin(self, client: str) -> None:
        try:
            self.limits.begin(client)
        except ApiError as error:
            self.metrics.refused(error.code).inc()
            raise

    async def _check_language(self, order: SpeechOrder) -> None:
        if order.language is not None:
            check_language(order.language, await self.engine())

    async def _voice(self, order: SpeechOrder, client: str) -> Voice | None:
        """The client's registered voice; None if it is the engine's own, or a sample's. Raises ApiError."""
        if order.voice is None:
            return None
        capabilities = await self.engine()
        if order.voice in capabilities.voices:
            return None
        if self.voices is None:
            raise no_such_voice(order.voice, capabilities)
        return await self.voices.resolve(client, order.voice)

    async def _within_budget(self, clip: _Clip) -> Answer:
        """`_make`, paid from the client's minute: first as estimated, then as it was."""
        self._check_length(clip)
        if clip.order.reference_audio is not None or clip.order.emotion is not None:
            self._check_lane(clip)  # before the costs of decoding a sample
        try:
            self.limits.spend(clip.client, clip.audio_seconds)
        except ApiError as error:
            self.metrics.refused(error.code).inc()
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

    async def _make(self, clip: _Clip) -> Answer:
        capabilities = await self.engine()
        utterance = await self._utterance(clip, capabilities)
        factor = utterance.duration_factor
        engine = f"{capabilities.name}/{capabilities.version}"
        if clip.begin is not None and at_pace(clip.order.timing, factor):
            clip.parts = ClipInParts(clip.order, factor, engine, clip.begin)
            if utterance.seed is None:  # or it could not go on after a fault as it began
                utterance = replace(utterance, seed=secrets.randbits(32))
        spoken, seconds = await self._speak(clip, utterance)
        with self.traces.span("encode"):
            if isinstance(spoken, Spoken):
                return await finish(clip.order, spoken, factor, seconds, engine)
            return await spoken.finish(seconds)

    def _check_length(self, clip: _Clip) -> None:
        """A text that cannot be spoken while the client, and what is between, waits is refused and not tried."""
        seconds = clip.audio_seconds * self.speed.value
        if not self.speed.sure or seconds <= clip.whole_seconds:
            return
        self.metrics.refused("text_needs_a_job").inc()
        param = clip.order.text_param
        message = (
            f"{param} would take about {seconds:.0f} s to speak, and an answer must be there within "
            f"{clip.whole_seconds:g} s: POST it to /v1/jobs, or split it"
        )
        raise ApiError(400, "text_needs_a_job", message, param)

    def _check_lane(self, clip: _Clip) -> None:
        try:
            self.lane.check(clip.client)
        except LaneFullError as error:
            raise self._busy(error) from None

    async def _utterance(self, clip: _Clip, capabilities: Capabilities) -> Utterance:
        order = clip.order
        factor = None
        if capabilities.native_duration:
            # A seed promises the same speech again, whatever was learned meanwhile.
            expected = clip.expected if order.seed is None else clip.expected.unlearned()
            factor = native_factor(order.timing, expected.seconds, expected.error, capabilities.duration_factors)
        if clip.voice is not None:
            assert self.voices is not None
            reference = await self.voices.reference(clip.voice)
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

    async def _speak(self, clip: _Clip, utterance: Utterance) -> tuple[Spoken | ClipInParts, float]:
        """The speech and the seconds it took, in the lane's turn."""
        with self.traces.span("lane"):
            turn = await self._turn(clip)
        try:
            if clip.begun is not None:
                clip.begun(clip.audio_seconds * self.speed.value if self.speed.sure else math.inf)
            if not self.host.ready:  # before the clock starts: a load is no synthesis
                left = None if clip.deadline is None else clip.deadline - time.monotonic()
                await self.host.wait_ready(ready_wait(self.host.returning, self.host.load_seconds, left))
            if clip.voice is not None and self.voices is not None:
                # It may have been deleted during the wait.
                utterance = replace(utterance, reference=await self.voices.reference(clip.voice))
            started = time.monotonic()
            with self.traces.span("synthesis") as span:
                try:
                    spoken = await self._speak_or_retry(clip, utterance)
                except BaseException:
                    if clip.parts is not None and clip.parts.seconds:
                        self._count(clip, clip.parts.seconds, time.monotonic() - started)
                    raise
                span.set_attribute("speech.audio_seconds", spoken.seconds)
            seconds = time.monotonic() - started
        except EngineNotReadyError as error:
            raise _unavailable(error) from None
        except EngineFaultError as error:
            self._count_fault(error)
            log.error("speech_failed", extra={"fields": {"reason": str(error)}})
            message = "the engine failed on this request twice and is being restarted"
            raise retry_later(503, "engine_failed", message, _ENGINE_RETRY_SECONDS) from None
        except UtteranceError as error:
            raise ApiError(400, error.code, error.message, error.param or clip.order.text_param) from None
        finally:
            self.lane.leave(turn)
        factor = utterance.duration_factor or 1.0
        self.speed.learn(clip.audio_seconds * factor, seconds)
        self.lengths.learn(clip.expected, spoken.seconds / factor)
        self.metrics.estimated(clip.audio_seconds, spoken.seconds / factor)
        self._count(clip, spoken.seconds, seconds)
        return spoken, seconds

    async def _turn(self, clip: _Clip) -> Turn:
        arrived = time.monotonic()
        try:
            turn = await self.lane.enter(clip.client, clip.audio_seconds, clip.priority, clip.deadline)
        except LaneFullError as error:
            raise self._busy(error) from None
        except TooLateError:
            self.metrics.refused("too_late").inc()
            message = f"the engine was busy for too long to answer within {clip.reply_seconds:g} s"
            raise retry_later(503, "too_late", message, self.lane.wait_seconds(clip.client)) from None
        self.metrics.lane_wait(_KINDS[clip.priority]).observe(time.monotonic() - arrived)
        return turn

    async def _speak_or_retry(self, clip: _Clip, utterance: Utterance) -> Spoken | ClipInParts:
        spoken_seconds = clip.audio_seconds * (utterance.duration_factor or 1.0)
        deadline = call_deadline(utterance.text, spoken_seconds, self.call_seconds)
        try:
            return await self._say(clip.parts, utterance, deadline)
        except EngineFaultError as error:
            self._count_fault(error)
            log.warning("speech_retried", extra={"fields": {"reason": str(error)}})
            self.metrics.engine_retries().inc()
        return await self._say(clip.parts, replace(utterance, small_footprint=True), deadline)

    async def _say(self, parts: ClipInParts | None, utterance: Utterance, seconds: float) -> Spoken | ClipInParts:
        """The speech, or the parts, complete then: those that it has already are not spoken again."""
        if parts is None:
            return await self.host.speak(utterance, seconds, _READY_SECONDS)
        rest = replace(utterance, segments_done=parts.segments_done)
        async with contextlib.aclosing(self.host.segments(rest, seconds, _READY_SECONDS)) as said:
            async for part in said:
                await parts.add(part)
        return parts

    def _count_fault(self, error: EngineFaultError) -> None:
        if error.out_of_memory:
            self.metrics.engine_out_of_memory().inc()

    def _count(self, clip: _Clip, audio_seconds: float, seconds: float) -> None:
        kind = _KINDS[clip.priority]
        self.metrics.spoken(audio_seconds, seconds)
        self.metrics.client_clips(clip.client, kind).inc()
        self.metrics.client_audio(clip.client, kind).inc(audio_seconds)
        self.ledger.add(clip.client, kind, len(clip.text), audio_seconds, seconds)

    def _busy(self, error: LaneFullError) -> ApiError:
        self.metrics.refused("engine_busy").inc()
        message = f"the engine is busy for about {error.wait_seconds:.0f} s; come back then"
        return retry_later(429, "engine_busy", message, error.wait_seconds)


def speakable(order: SpeechOrder, max_chars: int) -> str:
    """The text as the engine gets it. Raises ApiError that names the field it came in."""
    param = order.text_param
    if len(order.text) > max_chars:
        message = f"{param} has {len(order.text):,} characters; at most {max_chars:,} are spoken at once: split it"
        raise ApiError(400, "text_too_long", message, param)
    try:
        text = clean_text(order.text)
        if order.pinyin:
            text = number_pinyin(text)
    except TextError as error:
        raise ApiError(400, error.code, f"{param}: {error.message}", param) from None
    except PinyinError as error:
        raise ApiError(400, "invalid_pinyin", f"{param}: {error}", param) from None
    if not has_speech(text):
        problem = "is empty" if not text else "has nothing to speak: no letter, digit or character of a language"
        raise ApiError(400, "no_speech", f"{param} {problem}", param)
    return text


def _speaker(order: SpeechOrder, voice: Voice | None) -> Hashable:
    """What tells the voices of one client from one another."""
    if voice is not None:
        return voice.id
    return order.voice if order.reference_audio is None else hash(order.reference_audio)


def _key(clip: _Clip, kind: Literal["whole", "growing"]) -> bytes:
    voice = None if clip.voice is None else (clip.voice.id, clip.voice.sha256)
    return fingerprint(clip.client, identity(clip.order), voice, kind)


def _key_reused() -> ApiError:
    message = "this Idempotency-Key came with another request before: use a new key for a new request"
    return ApiError(422, "idempotency_key_reused", message, "Idempotency-Key")


def ready_wait(returning: bool, load_seconds: float, seconds_left: float | None) -> float:
    """Seconds to wait for a warm engine. One that is being replaced by a fresh process, or was unloaded and is started
    now, surely comes back: who waits for it does so while there is time (`seconds_left`; None: there is any).
    """
    if not returning:
        return _READY_SECONDS
    return load_seconds if seconds_left is None else max(0.0, min(load_seconds, seconds_left))


def no_such_voice(voice: str, capabilities: Capabilities) -> ApiError:
    """For a server without a store, which has no voices but the engine's."""
    message = f"voice must be one of {', '.join(capabilities.voices)}, not {shown(voice)}"
    return ApiError(400, "voice_not_found", message, "voice")


def _unavailable(error: EngineNotReadyError) -> ApiError:
    log.error("engine_unavailable", extra={"fields": {"reason": str(error)}})
    seconds = _ENGINE_RETRY_SECONDS if error.retry_seconds is None else error.retry_seconds
    return retry_later(503, "engine_unavailable", "the engine is not ready yet", seconds)
