"""From a clip's turn in the lane to its speech: one retry after a fault, and what is learned from each call."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from dataclasses import dataclass, replace

from speech_server.clip import Clip
from speech_server.clip_in_parts import ClipInParts
from speech_server.engines.base import Capabilities, Spoken, Utterance, UtteranceError
from speech_server.engines.host import EngineNotReadyError
from speech_server.engines.pool import EnginePool
from speech_server.engines.worker_process import EngineFaultError
from speech_server.errors import ApiError, retry_later
from speech_server.estimates.deadline import call_deadline
from speech_server.estimates.lengths import Lengths
from speech_server.estimates.speed import RealTimeFactor
from speech_server.lane import Lane, LaneFullError, Priority, TooLateError, Turn
from speech_server.metrics import Metrics
from speech_server.traces import Traces
from speech_server.usage.ledger import Ledger
from speech_server.voices.registry import Voices

# A request that meets a restarting engine waits this long for it: an engine without weights is back in a second,
# and for one that loads for minutes another server is the better choice.
_READY_SECONDS = 10.0
_ENGINE_RETRY_SECONDS = 2.0
_FIRST_LOAD_RETRY_SECONDS = 15.0  # how long weights take to load here, nobody knows yet
_KINDS = {Priority.INTERACTIVE: "request", Priority.BATCH: "job"}

log = logging.getLogger("speech_server.speech")


@dataclass(frozen=True)
class Speaker:
    """The lane, the engines behind it, and what is known of their speed. A server without a store has no `voices`."""

    lane: Lane
    speed: RealTimeFactor
    lengths: Lengths
    host: EnginePool
    voices: Voices | None
    metrics: Metrics
    traces: Traces
    ledger: Ledger
    call_seconds: float

    async def engine(self) -> Capabilities:
        """What the engine is; waits a little for one that is loading. Raises ApiError."""
        if self.host.capabilities is None:
            try:
                await self.host.wait_ready(_READY_SECONDS)
            except EngineNotReadyError as error:
                raise _unavailable(error, _FIRST_LOAD_RETRY_SECONDS) from None
        assert self.host.capabilities is not None
        return self.host.capabilities

    def check_length(self, clip: Clip) -> None:
        """Raises ApiError (400): what cannot be spoken while the client, and what is between, waits is not tried."""
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

    def check_lane(self, clip: Clip) -> None:
        """Raises ApiError (429) if the clip would wait too long."""
        try:
            self.lane.check(clip.client)
        except LaneFullError as error:
            raise self._busy(error) from None

    async def speak(self, clip: Clip, utterance: Utterance) -> tuple[Spoken | ClipInParts, float]:
        """The speech and the seconds it took, in the lane's turn. Raises ApiError."""
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
                    spoken = await self._speak_or_retry(clip, utterance, turn.ahead)
                except BaseException:
                    if clip.parts is not None and clip.parts.seconds:
                        self._count(clip, clip.parts.seconds, time.monotonic() - started)
                    raise
                span.set_attribute("speech.audio_seconds", spoken.seconds)
            seconds = time.monotonic() - max(started, turn.since)
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

    async def _turn(self, clip: Clip) -> Turn:
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

    async def _speak_or_retry(self, clip: Clip, utterance: Utterance, ahead: bool) -> Spoken | ClipInParts:
        spoken_seconds = clip.audio_seconds * (utterance.duration_factor or 1.0)
        deadline = call_deadline(utterance.text, spoken_seconds, self.call_seconds)
        try:
            return await self._say(clip.parts, utterance, deadline, ahead)
        except EngineFaultError as error:
            self._count_fault(error)
            log.warning("speech_retried", extra={"fields": {"reason": str(error)}})
            self.metrics.engine_retries().inc()
        return await self._say(clip.parts, replace(utterance, small_footprint=True), deadline)

    async def _say(
        self, parts: ClipInParts | None, utterance: Utterance, seconds: float, ahead: bool = False
    ) -> Spoken | ClipInParts:
        """The speech, or the parts, complete then: those that it has already are not spoken again."""
        if parts is None:
            return await self.host.speak(utterance, seconds, _READY_SECONDS, ahead)
        rest = replace(utterance, segments_done=parts.segments_done)
        async with contextlib.aclosing(self.host.segments(rest, seconds, _READY_SECONDS)) as said:
            async for part in said:
                await parts.add(part)
        return parts

    def _count_fault(self, error: EngineFaultError) -> None:
        if error.out_of_memory:
            self.metrics.engine_out_of_memory().inc()

    def _count(self, clip: Clip, audio_seconds: float, seconds: float) -> None:
        kind = _KINDS[clip.priority]
        self.metrics.spoken(audio_seconds, seconds)
        self.metrics.client_clips(clip.client, kind).inc()
        self.metrics.client_audio(clip.client, kind).inc(audio_seconds)
        self.ledger.add(clip.client, kind, len(clip.text), audio_seconds, seconds)

    def _busy(self, error: LaneFullError) -> ApiError:
        self.metrics.refused("engine_busy").inc()
        message = f"the engine is busy for about {error.wait_seconds:.0f} s; come back then"
        return retry_later(429, "engine_busy", message, error.wait_seconds)


def ready_wait(returning: bool, load_seconds: float, seconds_left: float | None) -> float:
    """Seconds to wait for a warm engine. One that is being replaced by a fresh process, or was unloaded and is started
    now, surely comes back: who waits for it does so while there is time (`seconds_left`; None: there is any).
    """
    if not returning:
        return _READY_SECONDS
    return load_seconds if seconds_left is None else max(0.0, min(load_seconds, seconds_left))


def _unavailable(error: EngineNotReadyError, guess: float = _ENGINE_RETRY_SECONDS) -> ApiError:
    # a warning: what is wrong with the engine, its own end tells
    log.warning("engine_unavailable", extra={"fields": {"reason": str(error)}})
    seconds = guess if error.retry_seconds is None else error.retry_seconds
    return retry_later(503, "engine_unavailable", "the engine is not ready yet", seconds)
