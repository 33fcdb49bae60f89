"""What a client wants spoken, whichever route it came by: plain data, already checked for form."""

from __future__ import annotations

from dataclasses import dataclass

from speech_server.timing import Timing


@dataclass(frozen=True)
class EmotionOrder:
    """As `engines.base.Emotion`, with the sample still in the client's base64."""

    type: str
    description: str | None
    vector: tuple[float, ...] | None
    audio: str | None
    intensity: float


@dataclass(frozen=True)
class SpeechOrder:
    """`text_param` names the field that the text came in, for messages; `pinyin`: its tone marks are pinyin."""

    text: str
    text_param: str
    pinyin: bool
    language: str | None
    voice: str | None
    reference_audio: str | None  # base64 or a data URI
    emotion: EmotionOrder | None
    timing: Timing
    seed: int | None
    format: str
