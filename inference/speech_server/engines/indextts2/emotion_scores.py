"""What the text-emotion model answers, as eight numbers.

The answer is JSON like {"高兴": 0.1, "愤怒": 0.9, ...}, most of the time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from speech_server.engines.indextts2.emotion import NAMES, Vector

# in the order of NAMES
_KEYS = ("高兴", "愤怒", "悲伤", "恐惧", "反感", "低落", "惊讶", "自然")
_PAIR = re.compile(r"[\"']?([^\s\"':,{}]+)[\"']?\s*[:：]\s*(\d+(?:\.\d+)?)")
# The model was trained to tell these from sadness and cannot: it scores both as 悲伤 (upstream's QwenEmotion).
_MELANCHOLIC_WORDS = ("低落", "melancholy", "melancholic", "depression", "depressed", "gloomy", "忧郁", "抑郁")
_SAD, _MELANCHOLIC, _CALM = NAMES.index("sad"), NAMES.index("melancholic"), NAMES.index("calm")


def scores_of(answer: str, description: str) -> Vector | None:
    """Eight values 0-1 in the order of NAMES; None if the answer holds none of them.

    Scores over 1 (the model gives up to 1.2) count as 1; all of them 0 means calm.
    """
    found = _pairs(answer)
    if not any(name in found for name in (*_KEYS, *NAMES)):
        return None
    scores = [_clamped(found.get(key, found.get(name, 0.0))) for key, name in zip(_KEYS, NAMES, strict=True)]
    if any(word in description.lower() for word in _MELANCHOLIC_WORDS):
        scores[_SAD], scores[_MELANCHOLIC] = scores[_MELANCHOLIC], scores[_SAD]
    if not any(scores):
        scores[_CALM] = 1.0
    return tuple(scores)


def _pairs(answer: str) -> Mapping[str, float]:
    try:
        decoded = json.loads(answer)
    except ValueError:
        return {name: float(value) for name, value in _PAIR.findall(answer)}
    if isinstance(decoded, str):
        return {decoded.strip(): 1.0}
    if not isinstance(decoded, dict):
        return {}
    numbers = {}
    for name, value in decoded.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            numbers[name] = float(value)
    return numbers


def _clamped(value: float) -> float:
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0
