"""Which words espeak-ng is to say in which voice, and the pauses between: decided before a sound is made."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from speech_server.engines.base import Cancelled
from speech_server.engines.espeak_chinese import Unknown, Word, espeak_spelling, read_chinese, with_changed_tones
from speech_server.text.scripts import OTHER, Run, split_by_language

# Seconds of silence. The library's own pauses differ from voice to voice, so the sound is trimmed and these are put
# in: every comma of a text is as long as every other, whatever the language.
COMMA_PAUSE = 0.16
SENTENCE_PAUSE = 0.36
LINE_PAUSE = 0.5
JOINT_PAUSE = 0.03

_COMMAS = frozenset(",，、;；:：—–…·")
_SENTENCE_ENDS = frozenset(".。!！?？｡")

# The library cuts a clause of more than about 100 words or 1,000 sounds where it likes, and drops what a word has over
# 150 letters.
_LONGEST_CHINESE_CLAUSE = 40  # syllables
_LONGEST_CLAUSE = 300  # characters
_LONGEST_WORD = 100

_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|approx|No|Fig|e\.g|i\.e|a\.m|p\.m|U\.S|U\.K)\.$"
)
_CLAUSE_END = re.compile(r"(?P<marks>[.!?;:,…]+)[\"'’”)\]]*(?=\s|$)|\s[-—–]+\s|[—…]+|\n+")
_TO_ASCII = str.maketrans(
    {
        "，": ", ",
        "、": ", ",
        "。": ". ",
        "｡": ". ",
        "！": "! ",
        "？": "? ",
        "：": ": ",
        "；": "; ",
        "’": "'",
        "‘": "'",
        "％": "%",
    }
)
# letters and digits apart, what the English voice reads well; it would say "asterisk" and the names of emoji
_READABLE_SYMBOLS = frozenset(".,;:!?'\"()-%$&@#+=/€£°…—–\n")
_NOT_KANA_OR_NUMBER = re.compile("[\u2e80-\u2fdf\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")


@dataclass(frozen=True)
class Segment:
    """`text` for the library's voice of `language`, said in one go, then `pause` seconds of silence."""

    language: str
    text: str
    pause: float


@dataclass(frozen=True)
class Plan:
    """What is to be said, and the letters that cannot be, by the name of what they are, at most a few of each."""

    segments: tuple[Segment, ...]
    unspoken: dict[str, str]


def plan_speech(text: str, language: str | None, cancelled: Callable[[], bool] = lambda: False) -> Plan:
    """Segments for a text, the last one without a pause after it. `language` (BCP 47) settles what scripts do not.

    Asks `cancelled` for each segment, for the readings of a long text take a while of their own. Raises Cancelled.
    """
    unspoken: dict[str, str] = {}
    segments: list[Segment] = []
    # circled, full-width and compatibility forms of letters and digits
    plain = "".join(unicodedata.normalize("NFKC", char) if char.isalnum() else char for char in text)
    plain = plain.replace("\N{FRACTION SLASH}", "/")
    for run in split_by_language(plain, language):
        found: list[Segment] = []
        for segment in _segments(run, unspoken):
            if cancelled():
                raise Cancelled
            found.append(segment)
        if found and segments:
            segments[-1] = _with_pause(segments[-1], max(segments[-1].pause, JOINT_PAUSE))
        segments.extend(found)
    if segments:
        segments[-1] = _with_pause(segments[-1], 0.0)
    return Plan(tuple(segments), unspoken)


def _segments(run: Run, unspoken: dict[str, str]) -> Iterator[Segment]:
    if run.language == OTHER:
        for letter in filter(str.isalpha, run.text):
            _note(unspoken, _script_of(letter), letter)
        return iter(())
    if run.language == "zh":
        return _chinese_segments(run.text, unspoken)
    if run.language == "ja":
        for kanji in _NOT_KANA_OR_NUMBER.findall(run.text):
            _note(unspoken, "Japanese kanji", kanji)
        return _lettered_segments("ja", _NOT_KANA_OR_NUMBER.sub(" ", run.text))
    return _lettered_segments(run.language, run.text)


def _chinese_segments(text: str, unspoken: dict[str, str]) -> Iterator[Segment]:
    words: list[Word] = []
    for item in read_chinese(text):
        if isinstance(item, Word):
            for word in _short_words(item):
                if sum(len(said.syllables) for said in words) + len(word.syllables) > _LONGEST_CHINESE_CLAUSE:
                    yield _chinese_segment(words, JOINT_PAUSE)
                    words = []
                words.append(word)
        elif isinstance(item, Unknown):
            _note(unspoken, "Chinese characters without a known reading", item.character)
        else:
            pause = _pause_of(item.character)
            if pause and words:
                yield _chinese_segment(words, pause)
                words = []
    if words:
        yield _chinese_segment(words, 0.0)


def _short_words(word: Word) -> Iterable[Word]:
    """A run-together word of the caller's in pieces that a clause can hold."""
    if len(word.syllables) <= _LONGEST_CHINESE_CLAUSE:
        return (word,)
    return (Word((syllable,), word.characters) for syllable in word.syllables)


def _chinese_segment(words: list[Word], pause: float) -> Segment:
    return Segment("zh", " ".join(map(espeak_spelling, with_changed_tones(words))), pause)


def _lettered_segments(language: str, text: str) -> Iterator[Segment]:
    readable = "".join(_readable(character) for character in text.translate(_TO_ASCII))
    for clause, pause in _clauses(readable):
        pieces = list(_pieces(clause))
        for piece in pieces[:-1]:
            yield Segment(language, piece, JOINT_PAUSE)
        for piece in pieces[-1:]:
            yield Segment(language, piece, pause)


def _readable(character: str) -> str:
    if character.isalnum() or unicodedata.combining(character) or character in _READABLE_SYMBOLS:
        return character
    return " "


def _clauses(text: str) -> Iterator[tuple[str, float]]:
    start = 0
    for match in _CLAUSE_END.finditer(text):
        if match["marks"] == "." and _ABBREVIATION.search(text[max(start, match.start() - 8) : match.start() + 1]):
            continue
        clause = text[start : match.end()]
        start = match.end()
        if _has_letter(clause):
            yield clause, max(map(_pause_of, match[0]), default=0.0) or COMMA_PAUSE
    if _has_letter(text[start:]):
        yield text[start:], 0.0


def _pieces(clause: str) -> Iterator[str]:
    """A clause in pieces of bounded length, cut at blanks, and in a word only if it is longer than a word can be."""
    piece = ""
    for word in clause.split():
        for start in range(0, len(word), _LONGEST_WORD):
            part = word[start : start + _LONGEST_WORD]
            if piece and len(piece) + len(part) >= _LONGEST_CLAUSE:
                yield piece
                piece = ""
            piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece


def _pause_of(character: str) -> float:
    if character in _SENTENCE_ENDS:
        return SENTENCE_PAUSE
    if character in _COMMAS:
        return COMMA_PAUSE
    return LINE_PAUSE if character == "\n" else 0.0


def _has_letter(text: str) -> bool:
    return any(map(str.isalnum, text))


def _with_pause(segment: Segment, pause: float) -> Segment:
    return Segment(segment.language, segment.text, pause)


def _script_of(letter: str) -> str:
    # the first word of a character's Unicode name is its script: "CYRILLIC SMALL LETTER A"
    return unicodedata.name(letter, "UNNAMED").split()[0].capitalize()


def _note(unspoken: dict[str, str], kind: str, letter: str) -> None:
    noted = unspoken.get(kind, "")
    if letter not in noted and len(noted) < 5:
        unspoken[kind] = noted + letter
