"""How an emotion reaches the model: exactly one of a vector and a sample, tamed as upstream's own web page does it.

The model's `infer` takes a vector, a sample and a text at once and lets a vector discard the sample and a text the
vector, without a word. Here a request names one, and no second one is ever passed on.
"""

from __future__ import annotations

from dataclasses import dataclass

from speech_server.engines.base import Emotion, Reference

NAMES = ("happy", "angry", "sad", "afraid", "disgusted", "melancholic", "surprised", "calm")

# `normalize_emo_vec` in https://github.com/index-tts/index-tts (indextts/infer_v2.py): strong emotions of some kinds
# come out strange, and over a sum of 0.8 nothing is left of the voice.
_BIAS = (0.9375, 0.875, 1.0, 1.0, 0.9375, 0.9375, 0.6875, 0.5625)
MOST = 0.8

Vector = tuple[float, ...]


@dataclass(frozen=True)
class EmotionArguments:
    """At most one of `vector` and `reference` is set. `alpha` is the sample's share, 0-1."""

    vector: Vector | None = None
    reference: Reference | None = None
    alpha: float = 1.0


def from_vector(vector: Vector, intensity: float) -> tuple[EmotionArguments, tuple[str, ...]]:
    """The arguments for eight values 0-1 in the order of NAMES, and warnings."""
    biased = [value * bias for value, bias in zip(vector, _BIAS, strict=True)]
    total = sum(biased)
    warnings: tuple[str, ...] = ()
    if total > MOST:
        biased = [value * MOST / total for value in biased]
        warnings = (f"emotion_capped: the emotions add up to {total:.2f}, and were scaled down to the model's {MOST}",)
    scaled = tuple(value * intensity for value in biased)
    return (EmotionArguments(vector=scaled) if any(scaled) else EmotionArguments()), warnings


def from_scores(scores: Vector, intensity: float) -> EmotionArguments:
    """The arguments for what the text-emotion model found; that it is capped is no news to the caller."""
    return from_vector(scores, intensity)[0]


def from_reference(emotion: Emotion) -> EmotionArguments:
    """The arguments for a sample that sounds as the speech shall."""
    assert emotion.reference is not None
    return EmotionArguments(reference=emotion.reference, alpha=emotion.intensity)
