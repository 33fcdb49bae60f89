"""What a client wants spoken, whichever route it came by: plain data, already checked for form."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter

from speech_server.errors import ApiError
from speech_server.text.pinyin import PinyinError, number_pinyin
from speech_server.text.speakable import TextError, clean_text, has_speech
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


def identity(order: SpeechOrder) -> tuple[object, ...]:
    """Everything that the order says, in numbers, texts, None and tuples: equal for equal orders."""
    emotion = None if order.emotion is None else _EMOTION(order.emotion)
    return *_ORDER(order), emotion, order.timing.speed, order.timing.target_seconds


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


_ORDER = attrgetter(*(field.name for field in fields(SpeechOrder) if field.name not in ("emotion", "timing")))
_EMOTION = attrgetter(*(field.name for field in fields(EmotionOrder)))
