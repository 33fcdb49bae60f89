"""What is asked of the model for one utterance, decided before the GPU is used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from speech_server.engines.base import UtteranceError
from speech_server.engines.indextts2.packages import Package
from speech_server.engines.indextts2.spoken_text import marked, unread_marks
from speech_server.text.scripts import OTHER
from speech_server.text.segments import CountTokens, Limits, Segment, plan_segments

# The first segment is heard first: half of the others' length (README of indextts25-inference: 60 tokens start as soon
# as 40 and cost less).
_FIRST_TOKENS = 60
SMALL_TOKENS = 60
# Below 0.78 version 2.5 speaks no faster (README of indextts25-inference); over 2.0 upstream does not test.
FASTEST, SLOWEST = 0.78, 2.0
_LANGUAGE_NAMES = {"zh": "Chinese", "en": "English", "ja": "Japanese", "ko": "Korean", "es": "Spanish", "ar": "Arabic"}
_SHOWN_LETTERS = 4


@dataclass(frozen=True)
class Plan:
    """Segments with their tokens, and what the caller is told."""

    segments: tuple[tuple[Segment, int], ...]
    warnings: tuple[str, ...]


def plan_text(text: str, language: str | None, package: Package, limits: Limits, count: CountTokens) -> Plan:
    """Raises UtteranceError for a language that is not spoken here, and for a text of which nothing can be read."""
    hint = _hint(language, package)
    warnings = unread_marks(text, package.version)
    segments = plan_segments(marked(text, package.version), hint, count, limits)
    _check_languages(segments, package)
    counted = tuple((segment, count(segment.text, segment.language)) for segment in segments)
    if not any(tokens for _, tokens in counted):
        raise UtteranceError("no_speech", "the text holds nothing that the model can read")
    unread = [segment.text for segment, tokens in counted if not tokens]
    if unread:
        warnings += (
            f"text_unreadable: {len(unread)} part(s) hold nothing that the model can read: {_shown(unread[0])}",
        )
    return Plan(tuple((segment, tokens) for segment, tokens in counted if tokens), warnings)


def limits_for(segment_tokens: int, small: bool) -> Limits:
    most = min(segment_tokens, SMALL_TOKENS) if small else segment_tokens
    return Limits(first=min(most, _FIRST_TOKENS), others=most)


def native_factor(factor: float | None, package: Package) -> tuple[float, tuple[str, ...]]:
    """The duration factor (over 1 is slower) that the model is given, and warnings."""
    if factor is None:
        return 1.0, ()
    if not package.native_duration:
        return 1.0, ("duration_unsupported: version 2 speaks at its own pace",)
    taken = min(SLOWEST, max(FASTEST, factor))
    if taken == factor:
        return factor, ()
    return taken, (f"duration_limited: the model takes a factor of {FASTEST} to {SLOWEST}, not {factor:.3f}",)


def segment_seed(seed: int, segment: int, part: int) -> int:
    """A seed for each part of each segment: a part that is spoken again changes no other. The first has the seed."""
    if segment == part == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/{segment}/{part}".encode()).digest()[:4], "big")


def _hint(language: str | None, package: Package) -> str | None:
    """The language asked for, as this package calls it. Raises UtteranceError if it does not speak it."""
    if language is None:
        return None
    base = language.split("-")[0].lower()
    base = "zh" if base == "cmn" else base
    if base not in package.languages:
        message = f"IndexTTS2 version {package.version} speaks {_spoken(package)}, not {base}"
        raise UtteranceError("language_unsupported", message, "language")
    return base


def _spoken(package: Package) -> str:
    return ", ".join(_LANGUAGE_NAMES[language] for language in package.languages)


def _check_languages(segments: list[Segment], package: Package) -> None:
    for segment in segments:
        if segment.language in package.languages:
            continue
        name = "a script" if segment.language == OTHER else _LANGUAGE_NAMES.get(segment.language, segment.language)
        raise UtteranceError(
            "language_unsupported",
            f"IndexTTS2 version {package.version} speaks {_spoken(package)}, and the text holds {name} "
            f"({_shown(segment.text)}): take it out, or give the text's language if it is another",
        )


def _shown(text: str) -> str:
    """A few letters as U+XXXX, which any header can carry."""
    return " ".join(f"U+{ord(letter):04X}" for letter in [*filter(str.isalpha, text)][:_SHOWN_LETTERS])
