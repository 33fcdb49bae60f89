"""The body of `POST /generate`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from speech_server.api.emotion import STRICT, EmotionControl, emotion_order
from speech_server.errors import ApiError
from speech_server.order import SpeechOrder
from speech_server.timing import Timing

Format = Literal["wav", "flac", "mp3", "opus", "aac", "pcm"]

MAX_SEED = 2**32 - 1
LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$"
LANGUAGE_CHARS = 35


class GenerateRequest(BaseModel):
    """One clip. Rules between the fields are `to_order`'s."""

    model_config = STRICT | {
        "json_schema_extra": {
            "examples": [
                {
                    "text": "你为什么要这样做?",
                    "text_with_pinyin": "你为什么yào zhèyàng做?",
                    "emotion_control": {"type": "text_desc", "description": "愤怒地质问", "intensity": 0.8},
                    "duration_ratio": 1.1,
                    "mode": "controlled",
                }
            ]
        }
    }

    text: str | None = Field(None, description="what to say")
    text_with_pinyin: str | None = Field(None, description="spoken instead of text; tone-marked pinyin is read as such")
    reference_audio: str | None = Field(None, description="a voice to speak with: base64 of an audio file, or data URI")
    voice: str | None = Field(None, description="one of the engine's own voices")
    emotion_control: EmotionControl | None = None
    duration_ratio: float | None = Field(None, ge=0.75, le=1.25, description="playback speed: 1.1 is 10 % faster")
    target_seconds: float | None = Field(None, gt=0, le=3600, description="the clip's exact length")
    mode: Literal["controlled", "free"] | None = Field(
        None, description="free: the engine chooses the length; default: controlled if a length is given"
    )
    language: str | None = Field(
        None, pattern=LANGUAGE, max_length=LANGUAGE_CHARS, description="BCP 47; none: detected"
    )
    seed: int | None = Field(None, ge=0, le=MAX_SEED)
    format: Format = "wav"

    def to_order(self) -> SpeechOrder:
        """Raises ApiError for fields that do not go together."""
        text, text_param = chosen_text(self.text, "text", self.text_with_pinyin)
        check_one_voice(self.voice, self.reference_audio)
        check_one_length(self.duration_ratio, "duration_ratio", self.target_seconds)
        if self.mode == "free":
            for name in ("duration_ratio", "target_seconds"):
                if getattr(self, name) is not None:
                    message = f"mode free lets the engine choose the length: leave {name} out, or use mode controlled"
                    raise ApiError(400, "conflicting_parameters", message, name)
        speed = self.duration_ratio
        if self.mode == "controlled" and self.target_seconds is None and speed is None:
            speed = 1.0
        return SpeechOrder(
            text=text,
            text_param=text_param,
            pinyin=text_param == "text_with_pinyin",
            language=self.language,
            voice=self.voice,
            reference_audio=self.reference_audio,
            emotion=emotion_order(self.emotion_control),
            timing=Timing(speed=speed, target_seconds=self.target_seconds),
            seed=self.seed,
            format=self.format,
        )


def chosen_text(text: str | None, text_param: str, with_pinyin: str | None) -> tuple[str, str]:
    """What is spoken, and the field that it came in. Raises ApiError if there is neither."""
    if with_pinyin is not None:
        return with_pinyin, "text_with_pinyin"
    if text is None:
        raise ApiError(400, "missing_parameter", f"{text_param} or text_with_pinyin is required", text_param)
    return text, text_param


def check_one_voice(voice: str | None, reference_audio: str | None) -> None:
    if voice is not None and reference_audio is not None:
        message = "voice and reference_audio are two voices: give one of them"
        raise ApiError(400, "conflicting_parameters", message, "voice")


def check_one_length(speed: float | None, speed_param: str, target_seconds: float | None) -> None:
    if speed is not None and target_seconds is not None:
        message = f"target_seconds and {speed_param} both set the length: give one of them"
        raise ApiError(400, "conflicting_parameters", message, "target_seconds")
