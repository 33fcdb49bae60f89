"""OpenAI's speech and model objects, and what they mean here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from speech_server.api.emotion import MAX_DESCRIPTION_CHARS, STRICT, EmotionControl, emotion_order
from speech_server.api.generate import (
    LANGUAGE,
    LANGUAGE_CHARS,
    MAX_SEED,
    Format,
    check_one_length,
    check_one_voice,
    chosen_text,
)
from speech_server.engines.base import Capabilities
from speech_server.errors import ApiError, shown
from speech_server.order import EmotionOrder, SpeechOrder
from speech_server.timing import Timing

# What clients written for OpenAI ask for; whoever runs another engine still gets speech.
MODEL_ALIASES = ("indextts2", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")
STOCK_VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)


def _voice_name(voice: object) -> object:
    """OpenAI's custom voices are objects with an id."""
    if isinstance(voice, dict) and voice.keys() == {"id"}:
        return voice["id"]
    return voice


_VOICE_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "additionalProperties": False},
    ]
}
VoiceName = Annotated[str, Field(max_length=200), BeforeValidator(_voice_name), WithJsonSchema(_VOICE_SCHEMA)]


class SpeechRequest(BaseModel):
    """OpenAI's request, and below `stream_format` the keys of /generate for `extra_body`."""

    model_config = STRICT

    input: str = Field(max_length=4096)
    model: str = Field(max_length=200)
    voice: VoiceName
    instructions: str | None = Field(None, max_length=MAX_DESCRIPTION_CHARS, description="how it shall sound")
    response_format: Format = "mp3"
    speed: float | None = Field(None, ge=0.25, le=4)
    stream_format: Literal["audio", "sse"] = "audio"

    text_with_pinyin: str | None = None
    reference_audio: str | None = None
    emotion_control: EmotionControl | None = None
    duration_ratio: float | None = Field(None, ge=0.75, le=1.25)
    target_seconds: float | None = Field(None, gt=0, le=3600)
    language: str | None = Field(None, pattern=LANGUAGE, max_length=LANGUAGE_CHARS)
    seed: int | None = Field(None, ge=0, le=MAX_SEED)

    def to_order(self, capabilities: Capabilities) -> tuple[SpeechOrder, tuple[str, ...]]:
        """The order and what to warn of. Raises ApiError for fields that do not go together or name nothing here."""
        check_model(self.model, capabilities)
        text, text_param = chosen_text(self.input, "input", self.text_with_pinyin)
        voice, warnings = _resolve_voice(self.voice, self.reference_audio is not None, capabilities)
        check_one_voice(voice, self.reference_audio)
        check_one_length(self.speed, "speed", self.target_seconds)
        check_one_length(self.duration_ratio, "duration_ratio", self.target_seconds)
        if self.speed is not None and self.duration_ratio is not None:
            message = "speed and duration_ratio are the same factor: give one of them"
            raise ApiError(400, "conflicting_parameters", message, "duration_ratio")
        order = SpeechOrder(
            text=text,
            text_param=text_param,
            pinyin=text_param == "text_with_pinyin",
            language=self.language,
            voice=voice,
            reference_audio=self.reference_audio,
            emotion=self._emotion(),
            timing=Timing(speed=self.speed or self.duration_ratio, target_seconds=self.target_seconds),
            seed=self.seed,
            format=self.response_format,
        )
        return order, warnings

    def _emotion(self) -> EmotionOrder | None:
        if not self.instructions:
            return emotion_order(self.emotion_control)
        if self.emotion_control is not None:
            message = "instructions and emotion_control both say how it shall sound: give one of them"
            raise ApiError(400, "conflicting_parameters", message, "instructions")
        return EmotionOrder(type="text_desc", description=self.instructions, vector=None, audio=None, intensity=1.0)


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = 0  # no date is known for an engine
    owned_by: str = "speech-server"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


def model_ids(capabilities: Capabilities) -> tuple[str, ...]:
    """The engine's own name first, then the names that stand for it."""
    return tuple(dict.fromkeys((capabilities.name, *MODEL_ALIASES)))


def check_model(model: str, capabilities: Capabilities) -> None:
    """Raises ApiError (404) for a model that is not here."""
    known = model_ids(capabilities)
    if model not in known:
        message = f"there is no model {shown(model)} here; use one of {', '.join(known)}"
        raise ApiError(404, "model_not_found", message, "model")


def _resolve_voice(asked: str, has_reference: bool, capabilities: Capabilities) -> tuple[str | None, tuple[str, ...]]:
    """The engine's voice (None: its default, or the sample's) for what an OpenAI client must give."""
    default = capabilities.voices[0] if capabilities.voices else None
    if has_reference and (asked in STOCK_VOICES or asked == default):
        return None, ()  # the client library insists on a voice
    if asked in capabilities.voices:
        return asked, ()
    if asked in STOCK_VOICES:
        return None, (f"voice_substituted: {asked} is not here, {default or 'the default voice'} speaks",)
    return asked, ()  # the client's own, or none at all: who knows them says so
