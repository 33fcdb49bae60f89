"""A text as each version of the model reads it, with nothing in it that the model would take for a command.

Version 2.5 encodes its text with every special token allowed, and both versions put placeholders in angle brackets
into the text while they normalise it: whatever brackets a caller writes must be marks that were checked, or nothing.
"""

from __future__ import annotations

import re

from speech_server.engines.base import UtteranceError
from speech_server.engines.indextts2.packages import Version
from speech_server.text.pinyin import find_numbered_pinyin
from speech_server.text.pinyin_forms import UnreadablePinyinError, marked_form
from speech_server.text.pronunciation_marks import FoundMark, MarkError, Reading, find_marks

_BRACKETS = str.maketrans("<>|", "   ")
_ALNUM = re.compile("[A-Za-z0-9]")
_MARK_OF_PINYIN = re.compile(r"<你\|([A-Z]+[1-5])>")


def marked(text: str, version: Version) -> str:
    """The text with each reading as a mark that stays in one piece, and no other bracket.

    Tone-numbered pinyin becomes a mark as well. Raises UtteranceError for a reading that is none.
    """
    try:
        marks = find_marks(text)
        pieces: list[str] = []
        done = 0
        for mark in marks:
            pieces.append(_with_pinyin_marked(text[done : mark.start]))
            pieces.append(_mark(mark, version))
            done = mark.end
        return "".join([*pieces, _with_pinyin_marked(text[done:])])
    except (MarkError, UnreadablePinyinError) as error:
        raise UtteranceError("invalid_pronunciation", str(error)) from None


def rendered(text: str, version: Version) -> str:
    """A part of what `marked` gave, for the model: version 2 takes pinyin inside the text, 2.5 its marks."""
    if version == "2.5":
        return text
    pieces: list[str] = []
    done = 0
    for match in _MARK_OF_PINYIN.finditer(text):
        pieces.append(text[done : match.start()])
        # what touches would be read as a part of the syllable
        if _ALNUM.match(text, match.start() - 1) if match.start() else False:
            pieces.append(" ")
        pieces.append(match[1])
        if _ALNUM.match(text, match.end()):
            pieces.append(" ")
        done = match.end()
    return "".join([*pieces, text[done:]])


def unread_marks(text: str, version: Version) -> tuple[str, ...]:
    """A warning if the text has readings that this version does not take."""
    if version == "2.5":
        return ()
    kinds = sorted({mark.reading.kind for mark in find_marks(text)} - {"pinyin"})
    if not kinds:
        return ()
    return (f"pronunciation_unsupported: version 2 reads pinyin only; marks in {' and '.join(kinds)} were left out",)


def _with_pinyin_marked(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for word in find_numbered_pinyin(text):
        pieces.append(text[done : word.start].translate(_BRACKETS))
        pieces.extend(map(marked_form, word.syllables))
        done = word.end
    return "".join([*pieces, text[done:].translate(_BRACKETS)])


def _mark(mark: FoundMark, version: Version) -> str:
    reading: Reading = mark.reading
    if reading.kind == "pinyin":
        return "".join(map(marked_form, reading.syllables))
    return f"<{reading.word}|{reading.text}>" if version == "2.5" else reading.word
