"""One clip of a job, from its order to its outcome."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from speech_server.api.generate import GenerateRequest
from speech_server.dedup import Answer
from speech_server.errors import ApiError
from speech_server.jobs import layout
from speech_server.jobs.records import ClipError, ClipOrder, JobOrder, Outcome
from speech_server.order import SpeechOrder
from speech_server.pipeline import Pipeline
from speech_server.storage.store import NotFoundError, Store
from speech_server.voices.registry import Voices

# Faults of this server and not of the clip: another one may do it at once, and the try does not count.
_NOT_TRIED = frozenset({"engine_unavailable", "draining", "store_unavailable", "no_store"})


class TryAgainError(Exception):
    """The clip was not spoken and may be later. `counts`: the engine has tried."""

    def __init__(self, error: ApiError, counts: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.counts = counts


@dataclass(frozen=True)
class ClipSpeaker:
    """What it takes to speak a clip."""

    store: Store
    pipeline: Pipeline
    voices: Voices
    clock: Callable[[], float] = time.time

    async def speak(self, order: JobOrder, clip: int, begun: Callable[[float], None]) -> Outcome:
        """The outcome, its sound already in the store. `begun`: see `Pipeline.make_clip`. Raises TryAgainError or
        StoreError.
        """
        ordered = order.clips[clip]
        try:
            await self._check_voice(order.client, ordered)
            speech = await self._speech_order(order.client, ordered)
            answer = await self.pipeline.make_clip(speech, order.client, begun)
        except ApiError as error:
            if error.status < 500 and error.status != 429:
                return failure(clip, ClipError(error.code, error.message, error.param), self.clock())
            raise TryAgainError(error, counts=error.code not in _NOT_TRIED) from None
        key = layout.result_key(order.id, clip, order.total, speech.format)
        await self.store.put(key, answer.body, answer.media_type)
        return _success(clip, key, speech.format, answer, self.clock())

    async def _check_voice(self, client: str, ordered: ClipOrder) -> None:
        """Raises ApiError if the voice is no longer what it was when the job was accepted."""
        if ordered.voice_sha256 is None:
            return
        voice = await self.voices.resolve(client, ordered.fields["voice"])
        if voice.sha256 != ordered.voice_sha256:
            message = "the voice has another sample now than when this job was accepted: order the clip again"
            raise ApiError(409, "voice_changed", message, "voice")

    async def _speech_order(self, client: str, ordered: ClipOrder) -> SpeechOrder:
        fields = dict(ordered.fields)
        if ordered.emotion_sha256 is not None:
            audio = await self._upload(client, ordered.emotion_sha256, "emotion_control.audio")
            fields["emotion_control"] = {**fields["emotion_control"], "audio": audio}
        order = GenerateRequest.model_validate(fields).to_order()
        if ordered.reference_sha256 is not None:
            audio = await self._upload(client, ordered.reference_sha256, "reference_audio")
            order = replace(order, reference_audio=audio)
        return order

    async def _upload(self, client: str, sha256: str, param: str) -> str:
        try:
            return base64.b64encode(await self.store.get(layout.upload_key(client, sha256))).decode()
        except NotFoundError:
            message = f"the sample of {param} is no longer kept: order the clip again"
            raise ApiError(410, "upload_expired", message, param) from None


def failure(clip: int, error: ClipError, finished_at: float) -> Outcome:
    return Outcome(clip, "failed", finished_at, error=error)


def _success(clip: int, key: str, suffix: str, answer: Answer, finished_at: float) -> Outcome:
    headers = dict(answer.headers)
    return Outcome(
        clip=clip,
        status="succeeded",
        finished_at=finished_at,
        key=key,
        format=suffix,
        bytes=len(answer.body),
        sha256=hashlib.sha256(answer.body).hexdigest(),
        audio_seconds=float(headers["X-Audio-Seconds"]),
        natural_seconds=float(headers["X-Natural-Seconds"]),
        synthesis_seconds=float(headers["X-Synthesis-Seconds"]),
        engine=headers["X-Engine"],
        warnings=headers.get("X-Speech-Warnings"),
    )
