"""Where a text may be cut: sentences, then clauses, then words, in Chinese, Japanese, Korean and alphabetic text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from speech_server.text.pronunciation_marks import MARK

# Seconds of silence after a piece, by what it ends with.
PARAGRAPH_PAUSE = 0.5
SENTENCE_PAUSE = 0.36
CLAUSE_PAUSE = 0.16
JOINT_PAUSE = 0.03

_CLOSING = "\"'”’」』）)】》〉〕］\\]}»"
_CJK = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef"
_SENTENCE_END = re.compile(
    f"(?P<mark>{MARK.pattern})"
    f"|(?P<full>[。！？｡!?…‥؟।]+[.。！？!?…]*[{_CLOSING}]*)"
    f"|(?P<dots>\\.{{2,}}[{_CLOSING}]*)"
    f"|(?P<dot>\\.[{_CLOSING}]*(?=[\\s{_CJK}<]|$))"
    "|(?P<line>\\n+)"
)
_CLAUSE_END = re.compile(
    f"(?P<mark>{MARK.pattern})|[，、；：،؛]+[{_CLOSING}]*|[,;:](?=\\s|[{_CJK}])[{_CLOSING}]*|[—–]{{1,2}}|\\s-\\s"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘<])(?:[A-Za-z]|(?:[A-Za-z]\.)+[A-Za-z]|Mr|Mrs|Ms|Mx|Dr|Prof|Rev|Gen|Sen|Gov|Capt|Lt|Col|Sgt|St|Sr|Jr"
    r"|vs|etc|approx|dept|est|No|Nos|Fig|Vol|Ch|pp|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"
    r"|Sra|Srta|Ud|Uds|pág|núm)$"
)
# An abbreviation may end a sentence as well ("at 5 p.m. She left"); these are taken not to: titles, initials, U.S.
_NEVER_LAST = re.compile(
    r"(?:^|[\s(\"'“‘<])(?:[A-Za-z]|(?:[A-Z]\.)+[A-Z]|Mr|Mrs|Ms|Mx|Dr|Prof|Rev|Gen|Sen|Gov|Capt|Lt|Col|St|Sr|vs|No|Fig|Sra|Srta)$"
)
# what is never torn apart: marks, words with their apostrophes, numbers with their signs
_UNIT = re.compile(
    f"{MARK.pattern}\\s*|[A-Za-z0-9\u00c0-\u024f\u0600-\u06ff]+(?:['’.,:/@-][A-Za-z0-9\u00c0-\u024f]+)*[%％°]?\\s*|\\S\\s*|\\s+"
)


@dataclass(frozen=True)
class Piece:
    """A part of a text as it is written, and the seconds of silence after it."""

    text: str
    pause: float


def sentences(text: str) -> list[Piece]:
    """The sentences of a text, line ends left out. Joined they hold every letter of it."""
    pieces: list[Piece] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if match["mark"] or (match["dot"] and _goes_on(text, start, match)):
            continue
        pause = PARAGRAPH_PAUSE if match["line"] else SENTENCE_PAUSE
        _append(pieces, text[start : match.end()], pause)
        start = match.end()
    _append(pieces, text[start:], 0.0)
    return pieces


def clauses(sentence: str) -> list[str]:
    """A sentence cut behind commas, colons, semicolons and dashes. Joined they are the sentence."""
    found: list[str] = []
    start = 0
    for match in _CLAUSE_END.finditer(sentence):
        if match["mark"] or not _has_speech(sentence[start : match.start()]):
            continue
        found.append(sentence[start : match.end()])
        start = match.end()
    rest = sentence[start:]
    if found and not _has_speech(rest):
        found[-1] += rest
    elif rest:
        found.append(rest)
    return found


def units(clause: str) -> list[str]:
    """The smallest parts that may be spoken apart: words, marks and single Chinese, Japanese or Korean characters.

    Punctuation stays with what stands before it.
    """
    found: list[str] = []
    for match in _UNIT.finditer(clause):
        if found and not _has_speech(match[0]):
            found[-1] += match[0]
        else:
            found.append(match[0])
    return found


def _append(pieces: list[Piece], text: str, pause: float) -> None:
    stripped = text.strip()
    if not _has_speech(stripped):
        # marks of their own: a quotation's end, a row of exclamation marks, an empty line
        if pieces:
            pieces[-1] = Piece(pieces[-1].text + stripped, max(pieces[-1].pause, pause))
        return
    pieces.append(Piece(stripped, pause))


def _goes_on(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the full stop belongs to an abbreviation and the sentence goes on behind it."""
    before = text[max(start, match.start() - 12) : match.start()]
    if not _ABBREVIATION.search(before):
        return False
    if _NEVER_LAST.search(before):
        return True
    following = next(_letters(text, match.end()), "")
    return not following.isupper()


def _letters(text: str, start: int) -> Iterator[str]:
    return (character for character in text[start : start + 20] if character.isalnum())


def _has_speech(text: str) -> bool:
    return any(map(str.isalnum, text))
