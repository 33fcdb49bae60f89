"""`emotion_control`: four forms, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from speech_server.order import EmotionOrder

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

MAX_DESCRIPTION_CHARS = 2000


class _Emotion(BaseModel):
    model_config = STRICT

    intensity: float = Field(1.0, ge=0, le=1, description="0 leaves the voice as it is, 1 is the full emotion")


class NoEmotion(_Emotion):
    type: Literal["none"]


class DescribedEmotion(_Emotion):
    type: Literal["text_desc"]
    description: str = Field(min_length=1, max_length=MAX_DESCRIPTION_CHARS, examples=["愤怒地质问"])


class EmotionVector(BaseModel):
    """Eight emotions, each 0-1; what is left out is 0."""

    model_config = STRICT

    happy: float = Field(0.0, ge=0, le=1)
    angry: float = Field(0.0, ge=0, le=1)
    sad: float = Field(0.0, ge=0, le=1)
    afraid: float = Field(0.0, ge=0, le=1)
    disgusted: float = Field(0.0, ge=0, le=1)
    melancholic: float = Field(0.0, ge=0, le=1)
    surprised: float = Field(0.0, ge=0, le=1)
    calm: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _names_an_emotion(self) -> EmotionVector:
        if not any(self.values()):
            raise ValueError("at least one of its values must be above 0; for no emotion use type none")
        return self

    def values(self) -> tuple[float, ...]:
        return tuple(getattr(self, name) for name in type(self).model_fields)


class VectorEmotion(_Emotion):
    type: Literal["vector"]
    vector: EmotionVector


class HeardEmotion(_Emotion):
    type: Literal["audio"]
    audio: str = Field(min_length=1, description="base64 of a sample that sounds as the speech shall, or a data URI")


EmotionControl = Annotated[NoEmotion | DescribedEmotion | VectorEmotion | HeardEmotion, Field(discriminator="type")]


def emotion_order(control: EmotionControl | None) -> EmotionOrder | None:
    if control is None or isinstance(control, NoEmotion):
        return None
    return EmotionOrder(
        type=control.type,
        description=control.description if isinstance(control, DescribedEmotion) else None,
        vector=control.vector.values() if isinstance(control, VectorEmotion) else None,
        audio=control.audio if isinstance(control, HeardEmotion) else None,
        intensity=control.intensity,
    )
