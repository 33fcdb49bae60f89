"""One clip on its way through the server: what was ordered, by whom, until when, and what is expected of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from speech_server.clip_in_parts import ClipInParts
from speech_server.dedup import Begin
from speech_server.estimates.lengths import Expected
from speech_server.lane import Priority
from speech_server.order import SpeechOrder
from speech_server.voices.voice import Voice


@dataclass(slots=True)
class Clip:
    """`deadline` (time.monotonic) is of its synthesis; a job's clip waits as long as it must."""

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
