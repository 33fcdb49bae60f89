"""Which generation parameters an operator may set, in which ranges, and what each call is given.

The model passes unknown ones on to transformers, which raises on them, and takes any value of the known ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from speech_server.engines.indextts2.packages import Package

# Mel tokens for a text token. A Chinese character (2 tokens in version 2, about 1 in 2.5) takes 0.22 s, which is 11 mel
# tokens at version 2's 50 a second; three times that leaves room for slow and emotional speech, and ends a generation
# that runs away long before the model's own limit.
_MEL_TOKENS_PER_TEXT_TOKEN = 34
_MEL_TOKENS_SPARE = 120
# index-tts raises in its codec when a generation ends with its first token
_LEAST_MEL_TOKENS = 5
_MOST_MEL_TOKENS = 1500  # the model's default, about 30 s of speech in version 2


@dataclass(frozen=True)
class _Range:
    lowest: float
    highest: float
    whole: bool = False


_RANGES = {
    "temperature": _Range(0.1, 2.0),
    "top_p": _Range(0.05, 1.0),
    "top_k": _Range(1, 200, whole=True),
    "num_beams": _Range(1, 5, whole=True),
    "repetition_penalty": _Range(1.0, 20.0),
    "length_penalty": _Range(-2.0, 2.0),
}
_DIFFUSION_RANGES = {
    "diffusion_steps": _Range(8, 50, whole=True),
    "inference_cfg_rate": _Range(0.0, 1.0),
}
# the model's own defaults, named here so that an update of a package changes nothing unseen
DEFAULTS: Mapping[str, float] = {
    "temperature": 0.8,
    "top_p": 0.8,
    "top_k": 30,
    "num_beams": 3,
    "repetition_penalty": 10.0,
    "length_penalty": 0.0,
}


def read_generation(text: str, package: Package) -> dict[str, float]:
    """Parameters from a JSON object, over the defaults. Raises ValueError that names every one at fault."""
    try:
        given = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"is no JSON object ({error})") from None
    if not isinstance(given, dict):
        raise ValueError('must be a JSON object like {"temperature": 0.7}')
    ranges = _RANGES | (_DIFFUSION_RANGES if package.diffusion_parameters else {})
    problems = [problem for name, value in given.items() if (problem := _problem(name, value, ranges))]
    if problems:
        raise ValueError("; ".join(problems))
    return {**DEFAULTS, **given}


def call_parameters(settings: Mapping[str, float], text_tokens: int, small: bool) -> dict[str, float]:
    """What one segment is generated with. `small`: one beam, a third of the memory of three."""
    parameters = dict(settings)
    if small:
        parameters["num_beams"] = 1
    parameters["min_new_tokens"] = _LEAST_MEL_TOKENS
    parameters["max_mel_tokens"] = min(_MOST_MEL_TOKENS, _MEL_TOKENS_SPARE + _MEL_TOKENS_PER_TEXT_TOKEN * text_tokens)
    return parameters


def _problem(name: str, value: object, ranges: Mapping[str, _Range]) -> str | None:
    allowed = ranges.get(name)
    if allowed is None:
        return f"{name!r} is none of {', '.join(ranges)}"
    kind = int if allowed.whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not allowed.lowest <= value <= allowed.highest:
        what = "a whole number" if allowed.whole else "a number"
        return f"{name} must be {what} from {allowed.lowest:g} to {allowed.highest:g}, not {value!r}"
    return None
