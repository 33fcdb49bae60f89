"""A text in the portions that a model speaks in one go, each in one language and within its limit of tokens."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from speech_server.text.languages import language_runs, may_be_japanese, spoken_as_one
from speech_server.text.pronunciation_marks import MARK
from speech_server.text.scripts import Run
from speech_server.text.sentences import CLAUSE_PAUSE, JOINT_PAUSE, PARAGRAPH_PAUSE, Piece, clauses, sentences, units


@dataclass(frozen=True)
class Segment:
    """`text` in `language` ("other" where no language was recognised), then `pause` seconds; 0 after the last one."""

    text: str
    language: str
    pause: float


@dataclass(frozen=True)
class Limits:
    """Tokens of a segment. The first may be made shorter, so that it can be heard sooner."""

    first: int
    others: int


CountTokens = Callable[[str, str], int]  # text, language


def plan_segments(text: str, hint: str | None, count: CountTokens, limits: Limits) -> list[Segment]:
    """Segments that hold every word of `text` in order.

    Whole sentences of one language and paragraph are put together as long as they fit; a sentence that does not fit is
    cut at clauses, then between words, and a word only if it is longer than a segment. `count` must not shrink when
    text is added at the end.
    """
    packed: list[Segment] = []
    used = 0
    for part in _parts(text, hint, count, limits):
        tokens = count(part.text, part.language)
        # once the second segment is begun, the first is finished
        limit = limits.first if len(packed) <= 1 else limits.others
        goes_on = packed and packed[-1].language == part.language and packed[-1].pause < PARAGRAPH_PAUSE
        if goes_on and used + tokens <= limit:
            packed[-1] = Segment(_joined(packed[-1].text, part.text), part.language, part.pause)
            used += tokens
        else:
            packed.append(part)
            used = tokens
    if packed:
        packed[-1] = Segment(packed[-1].text, packed[-1].language, 0.0)
    return packed


def halves(segment: Segment, count: CountTokens, limit: int) -> list[Segment]:
    """A segment that proved too long, cut anew with a smaller limit; the last one keeps its pause."""
    again = plan_segments(segment.text, segment.language, count, Limits(limit, limit))
    if not again:
        return []
    last = again[-1]
    return [*again[:-1], Segment(last.text, last.language, segment.pause)]


def _parts(text: str, hint: str | None, count: CountTokens, limits: Limits) -> Iterator[Segment]:
    """Sentences in one language, and parts of those that are too long for a segment."""
    limit = limits.first
    for sentence in _in_one_language(text, hint):
        fitting = _fitting(sentence, count, limit)
        for part in fitting:
            yield part
            limit = limits.others


def _in_one_language(text: str, hint: str | None) -> Iterator[Segment]:
    hinted_chinese = (hint or "").lower().startswith("zh")
    # kana anywhere make a sentence of Chinese characters alone Japanese, unless it shows that it is not
    kana = not hinted_chinese and any(run.language == "ja" for run in language_runs(_without_marks(text), hint))
    for sentence in sentences(text):
        plain = _without_marks(sentence.text)
        runs = spoken_as_one(language_runs(plain, hint))
        if len(runs) > 1:
            yield from _cut_at_languages(sentence, runs)
            continue
        language = runs[0].language
        if language == "zh" and kana and may_be_japanese(plain):
            language = "ja"
        yield Segment(sentence.text, language, sentence.pause)


def _cut_at_languages(sentence: Piece, runs: list[Run]) -> Iterator[Segment]:
    """`runs` are those of the sentence with words for marks of the same length, so that places agree."""
    place = 0
    cut: list[Segment] = []
    for run in runs:
        text = sentence.text[place : place + len(run.text)].strip()
        place += len(run.text)
        if any(map(str.isalnum, text)):
            cut.append(Segment(text, run.language, JOINT_PAUSE))
        elif cut:
            cut[-1] = Segment(cut[-1].text + text, cut[-1].language, JOINT_PAUSE)
    if cut:
        cut[-1] = Segment(cut[-1].text, cut[-1].language, sentence.pause)
    yield from cut


def _without_marks(text: str) -> str:
    """The text with each mark's word in its place, padded to the mark's length."""
    return MARK.sub(lambda match: match[1].ljust(len(match[0])), text)


def _fitting(sentence: Segment, count: CountTokens, limit: int) -> list[Segment]:
    language = sentence.language
    if count(sentence.text, language) <= limit:
        return [sentence]
    fitting: list[Segment] = []
    used = 0
    for clause in clauses(sentence.text):
        for part, pause in _clause_parts(clause, language, count, limit):
            if not any(map(str.isalnum, part)):
                continue  # what is left of a word that was torn apart: a model makes noise of it
            tokens = count(part, language)
            if fitting and fitting[-1].pause == CLAUSE_PAUSE and used + tokens <= limit:
                fitting[-1] = Segment(_joined(fitting[-1].text, part), language, pause)
                used += tokens
            else:
                fitting.append(Segment(part, language, pause))
                used = tokens
    fitting[-1] = Segment(fitting[-1].text, language, sentence.pause)
    return fitting


def _clause_parts(clause: str, language: str, count: CountTokens, limit: int) -> Iterator[tuple[str, float]]:
    text = clause.strip()
    if count(text, language) <= limit:
        yield text, CLAUSE_PAUSE
        return
    rest = _short_units(units(text), language, count, limit)
    while rest:
        ends = range(1, len(rest) + 1)
        fits = bisect_right(ends, limit, key=lambda end: count("".join(rest[:end]).strip(), language))
        taken = max(1, fits)
        part, rest = "".join(rest[:taken]).strip(), rest[taken:]
        if part:
            yield part, JOINT_PAUSE if rest else CLAUSE_PAUSE


def _short_units(parts: list[str], language: str, count: CountTokens, limit: int) -> list[str]:
    """The units with those torn into characters that alone are over the limit (an address of the web); marks stay."""
    short: list[str] = []
    for part in parts:
        if len(part) > 1 and not MARK.match(part) and count(part, language) > limit:
            short.extend(part)
        else:
            short.append(part)
    return short


def _joined(left: str, right: str) -> str:
    """Two pieces with a space between where alphabetic text needs one."""
    ideographic = "\u2e80" <= right[0] < "\uac00" or right[0] >= "\uf900" or "\u2e80" <= left[-1] < "\uac00"
    return left + right if ideographic else f"{left} {right}"
