"""From an order to the bytes of a clip: check, wait for the turn, speak, fit the length, encode."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import asdict, dataclass, replace

import numpy as np

from speech_server import estimate
from speech_server.audio.encode import FORMATS, encode
from speech_server.audio.stretch import stretch_to
from speech_server.dedup import RUN, Answer, Dedup, KeyReusedError, fingerprint
from speech_server.engines.base import Capabilities, Emotion, Reference, Speech, Utterance, UtteranceError
from speech_server.engines.host import EngineHost, EngineNotReadyError
from speech_server.engines.worker_process import EngineFaultError
from speech_server.errors import ApiError, retry_later, shown
from speech_server.lane import Lane, LaneFullError, Priority
from speech_server.metrics import Metrics
from speech_server.order import SpeechOrder
from speech_server.reference_store import ReferenceStore
from speech_server.text.pinyin import PinyinError, number_pinyin
from speech_server.text.speakable import TextError, clean_text, has_speech
from speech_server.timing import TargetOutOfReachError, final_length

# A request that meets a restarting engine waits this long for it: an engine without weights is back in a second,
# and for one that loads for minutes another server is the better choice.
_READY_SECONDS = 10.0
_ENGINE_RETRY_SECONDS = 2.0

log = logging.getLogger("speech_server.speech")


@dataclass(frozen=True)
class Pipeline:
    """The parts that a clip goes through, in this order."""

    dedup: Dedup
    references: ReferenceStore
    lane: Lane
    speed: estimate.RealTimeFactor
    host: EngineHost
    metrics: Metrics
    max_text_chars: int
    call_seconds: float

    async def answer(self, order: SpeechOrder, client: str, idempotency_key: str | None) -> tuple[Answer, bool]:
        """The clip, and whether it is a repetition. Cancelled, it takes its synthesis along if nobody shares it.

        Raises ApiError.
        """
        text = speakable(order, self.max_text_chars)
        key = fingerprint(client, asdict(order))
        try:
            answer, how = await self.dedup.answer(key, lambda: self._make(order, text), client, idempotency_key)
        except KeyReusedError:
            message = "this Idempotency-Key came with another request before: use a new key for a new request"
            raise ApiError(422, "idempotency_key_reused", message, "Idempotency-Key") from None
        if how != RUN:
            self.metrics.dedup_hits.labels(how).inc()
        return answer, how != RUN

    async def engine(self) -> Capabilities:
        """What the engine is; waits a little for one that is loading. Raises ApiError."""
        try:
            if self.host.capabilities is None:
                await self.host.wait_ready(_READY_SECONDS)
        except EngineNotReadyError as error:
            raise _unavailable(error) from None
        assert self.host.capabilities is not None
        return self.host.capabilities

    async def _make(self, order: SpeechOrder, text: str) -> Answer:
        self._check_lane()  # before the costs of decoding a sample
        capabilities = await self.engine()
        check_voice(order.voice, capabilities)
        utterance = await self._utterance(order, text)
        speech, seconds = await self._speak(utterance, order.text_param)
        return await asyncio.to_thread(_finish, order, speech, seconds, f"{capabilities.name}/{capabilities.version}")

    def _check_lane(self) -> None:
        try:
            self.lane.check()
        except LaneFullError as error:
            raise self._refused(error) from None

    async def _utterance(self, order: SpeechOrder, text: str) -> Utterance:
        reference = await self._reference(order.reference_audio, "reference_audio")
        emotion = None
        if order.emotion is not None:
            emotion = Emotion(
                type=order.emotion.type,
                description=order.emotion.description,
                vector=order.emotion.vector,
                reference=await self._reference(order.emotion.audio, "emotion_control.audio"),
                intensity=order.emotion.intensity,
            )
        return Utterance(
            text=text,
            language=order.language,
            voice=order.voice,
            reference=reference,
            emotion=emotion,
            duration_factor=None,
            seed=order.seed,
            small_footprint=False,
        )

    async def _reference(self, audio: str | None, param: str) -> Reference | None:
        if audio is None:
            return None
        return await asyncio.to_thread(self.references.keep, audio, param)

    async def _speak(self, utterance: Utterance, text_param: str) -> tuple[Speech, float]:
        """The speech and the seconds it took, in the lane's turn."""
        audio_seconds = estimate.audio_seconds(utterance.text)
        arrived = time.monotonic()
        try:
            async with self.lane.turn(audio_seconds, Priority.INTERACTIVE):
                started = time.monotonic()
                self.metrics.lane_wait.observe(started - arrived)
                speech = await self._speak_or_retry(utterance)
                seconds = time.monotonic() - started
        except LaneFullError as error:
            raise self._refused(error) from None
        except EngineNotReadyError as error:
            raise _unavailable(error) from None
        except EngineFaultError as error:
            log.error("speech_failed", extra={"fields": {"reason": str(error)}})
            message = "the engine failed on this request twice and is being restarted"
            raise retry_later(503, "engine_failed", message, _ENGINE_RETRY_SECONDS) from None
        except UtteranceError as error:
            raise ApiError(400, error.code, error.message, error.param or text_param) from None
        self.speed.learn(audio_seconds, seconds)
        self._measure(speech, seconds)
        return speech, seconds

    async def _speak_or_retry(self, utterance: Utterance) -> Speech:
        deadline = estimate.call_deadline(utterance.text, self.call_seconds)
        try:
            return _sound(await self.host.speak(utterance, deadline, _READY_SECONDS))
        except EngineFaultError as error:
            log.warning("speech_retried", extra={"fields": {"reason": str(error)}})
            self.metrics.engine_retries.inc()
        smaller = replace(utterance, small_footprint=True)
        return _sound(await self.host.speak(smaller, deadline, _READY_SECONDS))

    def _measure(self, speech: Speech, seconds: float) -> None:
        audio_seconds = speech.samples.size / speech.sample_rate
        self.metrics.audio_seconds.inc(audio_seconds)
        self.metrics.synthesis_seconds.inc(seconds)
        self.metrics.real_time_factor.observe(seconds / audio_seconds)

    def _refused(self, error: LaneFullError) -> ApiError:
        self.metrics.refused.inc()
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


def check_voice(voice: str | None, capabilities: Capabilities) -> None:
    """Raises ApiError if the engine has no such voice."""
    if voice is not None and voice not in capabilities.voices:
        message = f"voice must be one of {', '.join(capabilities.voices)}, not {shown(voice)}"
        raise ApiError(400, "voice_not_found", message, "voice")


def _sound(speech: Speech) -> Speech:
    """Raises EngineFaultError for what no encoder can take."""
    if speech.samples.size == 0 or speech.sample_rate <= 0 or not np.isfinite(speech.samples).all():
        raise EngineFaultError("the engine returned no sound, or samples that are no numbers")
    return speech


def _finish(order: SpeechOrder, speech: Speech, seconds: float, engine: str) -> Answer:
    natural = speech.samples.size
    rate = speech.sample_rate
    try:
        length = final_length(natural, rate, order.timing)
    except TargetOutOfReachError as error:
        raise ApiError(400, "target_out_of_reach", str(error), "target_seconds") from None
    samples = speech.samples if length == natural else stretch_to(speech.samples, rate, length)
    headers = [
        ("X-Audio-Seconds", f"{length / rate:.3f}"),
        ("X-Natural-Seconds", f"{natural / rate:.3f}"),
        ("X-Synthesis-Seconds", f"{seconds:.3f}"),
        ("X-Engine", engine),
    ]
    if speech.warnings:
        headers.append(("X-Speech-Warnings", "; ".join(speech.warnings)))
    return Answer(encode(samples, rate, order.format), FORMATS[order.format].media_type, tuple(headers))


def _unavailable(error: EngineNotReadyError) -> ApiError:
    log.error("engine_unavailable", extra={"fields": {"reason": str(error)}})
    return retry_later(503, "engine_unavailable", "the engine is not ready yet", _ENGINE_RETRY_SECONDS)
