"""A clip that is sent while the rest of it is being spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from speech_server.answers import Answer, GrowingAnswer
from speech_server.audio.encode import FORMATS
from speech_server.audio.part_encoders import PART_ENCODERS, PartEncoder, part_encoder
from speech_server.dedup import Begin
from speech_server.engines.base import Capabilities, Spoken
from speech_server.finishing import description, finish, finished
from speech_server.order import SpeechOrder
from speech_server.timing import Timing

# What rounding makes of a factor times its inverse.
_ONE = 1e-9


def may_grow(order: SpeechOrder, capabilities: Capabilities) -> bool:
    """Whether the clip's beginning can be sent before its end is there. Its exact length, or a stretch, takes all of
    it; an engine's own pace does not.
    """
    if order.timing.speed not in (None, 1.0) and not capabilities.native_duration:
        return False
    return capabilities.segments and order.format in PART_ENCODERS and order.timing.target_seconds is None


def at_pace(timing: Timing, factor: float | None) -> bool:
    """Whether speech at `factor` of its natural length (None: at 1) is as long as was asked, and needs no stretch."""
    return timing.target_seconds is None and abs((timing.speed or 1.0) * (factor or 1.0) - 1.0) < _ONE


class ClipInParts:
    """`add` every part of what is spoken, then `finish`. `begin` is called when there is something to send and more to
    come; a clip that came in one part is made as if nobody had asked for parts.

    `segments_done` and the encoder outlive a fault of the engine: what is spoken after it goes behind what is here.
    """

    def __init__(self, order: SpeechOrder, factor: float | None, engine: str, begin: Begin) -> None:
        self.segments_done = 0
        self._order = order
        self._factor = factor
        self._engine = engine
        self._begin = begin
        self._encoder: PartEncoder | None = None
        self._growing: GrowingAnswer | None = None
        self._last: Spoken | None = None
        self._warnings: dict[str, None] = {}
        self._samples = 0
        self._sample_rate = 1

    @property
    def seconds(self) -> float:
        """Spoken so far."""
        return self._samples / self._sample_rate

    async def add(self, part: Spoken) -> None:
        """The last one is not encoded yet: the engine need not wait for that."""
        self.segments_done = part.segments_done
        self._samples += part.samples
        self._sample_rate = part.sample_rate
        self._warnings.update(dict.fromkeys(part.warnings))
        if part.last:
            self._last = part
            return
        piece = await self._work(self._encoded, part.pcm)
        if piece:
            self._send(piece)

    async def finish(self, synthesis_seconds: float) -> Answer:
        """All of it, as it was sent. Raises ApiError."""
        assert self._last is not None
        if self._encoder is None:
            return await finish(self._order, self._last, self._factor, synthesis_seconds, self._engine)
        body = await self._work(self._encoder.end, self._last.pcm)
        if self._growing is not None:
            self._growing.add(body)
            body = self._growing.body
        natural = self.seconds / (self._factor or 1.0)
        warnings = tuple(self._warnings)
        return finished(self._order, body, self.seconds, natural, synthesis_seconds, self._engine, warnings)

    def _encoded(self, pcm: bytes) -> bytes:
        if self._encoder is None:
            self._encoder = part_encoder(self._order.format, self._sample_rate)
        return self._encoder.add(pcm)

    async def _work(self, encode: Callable[[bytes], bytes], pcm: bytes) -> bytes:
        return encode(pcm) if self._order.format == "wav" else await asyncio.to_thread(encode, pcm)

    def _send(self, piece: bytes) -> None:
        if self._growing is not None:
            self._growing.add(piece)
            return
        headers = description(self._engine, tuple(self._warnings))
        self._growing = GrowingAnswer(FORMATS[self._order.format].media_type, headers)
        self._growing.add(piece)
        self._begin(self._growing)
