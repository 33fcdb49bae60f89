"""Pinyin inside text: where it stands, which syllables it is, and the tone-numbered form that engines read.

What counts as pinyin:
- A word with a tone mark (ā á ǎ à, and ă), composed or not, capital or not, its syllables run together or parted by
  apostrophes. A syllable without a mark in such a word is neutral: `péngyou`.
- A word of tone-numbered syllables: `yao4`, `zhe4yang4`, `lv4`, `lü4`, `nu:3`, `xi1'an1`, `wanr2`, `wan2r`. A single
  capital letter is not one, so that `A4` and `E5` stay what they are. Longer names that spell a syllable are taken
  for it (`SHA1`: write SHA-1).
- A particle without a mark (PARTICLES) that follows pinyin after one space or hyphen: `wǒ de`.

Everything else is left alone: `OK`, `hello`, `mp3`, `GPU`, `über`. A word with a letter or a mark that pinyin does not
have is of another language and left alone too: `façade`, `mañana`, `Škoda`. A word that has only marks of pinyin is
taken for pinyin: `résumé` is read rè-style as re2 su5 me2, and `café` is an error, because there is no syllable `fe`.
Write such a word without its accents, or use the plain text field, in which no marks are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from speech_server.text.pinyin_word import (
    APOSTROPHES,
    NEUTRAL,
    Syllable,
    UnreadableError,
    legal_syllable,
    letters_of,
    syllables_of,
)

# Enclitics that are written apart and have no tone of their own.
PARTICLES = frozenset({"de", "le", "zhe", "guo", "ma", "ne", "ba", "ya", "la", "men", "me", "zi"})

_COMBINING = "\u0300-\u036f"
# Latin letters with and without accents, IPA's ɑ and ɡ
_LETTER = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0251\u0261\u1e00-\u1eff"
_APOSTROPHE = f"[{APOSTROPHES}]"
_ERHUA = f"[rR]5?(?![{_LETTER}0-9])"
_NUMBERED_SYLLABLE = f"(?:[A-Za-zÜü]|[Uu]:){{1,8}}[1-5](?:{_ERHUA})?"
_WORD = re.compile(
    f"(?P<numbered>(?<![{_LETTER}0-9]){_NUMBERED_SYLLABLE}(?:{_APOSTROPHE}?{_NUMBERED_SYLLABLE})*"
    "(?![A-Za-z0-9]))"
    f"|(?P<plain>[{_LETTER}][{_COMBINING}]*(?:{_APOSTROPHE}?[{_LETTER}][{_COMBINING}]*)*)"
)
_DIGIT = re.compile("[0-9]")
# what would run into the tone-numbered form of the word after it
_RUNS_INTO = re.compile(f"(?:[0-9][rR]?|[uU]:){_APOSTROPHE}?$")
_ONE_NUMBERED = re.compile(f"((?:[A-Za-zÜü]|[Uu]:)+)([1-5])({_ERHUA})?")


@dataclass(frozen=True)
class PinyinWord:
    """text[start:end] is one word of pinyin, read as `syllables`."""

    start: int
    end: int
    syllables: tuple[Syllable, ...]


class PinyinError(ValueError):
    """A word with tone marks that is no pinyin: from `syllable` on, at the 1-based character `position`."""

    def __init__(self, syllable: str, position: int, word: str) -> None:
        inside = "" if syllable == word else f" in {word!r}"
        super().__init__(
            f"{syllable!r}{inside} at character {position} is no pinyin syllable: correct it, or write a word of "
            "another language without tone marks"
        )
        self.syllable = syllable
        self.position = position


def number_pinyin(text: str) -> str:
    """The text with its pinyin in tone-numbered lower case: 你为什么yào zhèyàng做? -> 你为什么yao4 zhe4yang4做?

    A space parts pinyin from a digit that touches it, so that both can be told apart again. Raises PinyinError.
    """
    pieces: list[str] = []
    done = 0
    for word in find_pinyin(text):
        pieces.append(text[done : word.start])
        if _RUNS_INTO.search(text, max(0, word.start - 3), word.start):
            pieces.append(" ")
        pieces.extend(map(str, word.syllables))
        if _DIGIT.match(text, word.end):
            pieces.append(" ")
        done = word.end
    return "".join([*pieces, text[done:]])


def find_pinyin(text: str) -> list[PinyinWord]:
    """Every word of pinyin, tone-marked and tone-numbered, in order. Raises PinyinError."""
    return list(_words(text, marked=True))


def find_numbered_pinyin(text: str) -> list[PinyinWord]:
    """Every word of tone-numbered pinyin, in order: what an engine looks for. Tone marks mean nothing here."""
    return list(_words(text, marked=False))


def _words(text: str, marked: bool) -> Iterator[PinyinWord]:
    last_end: int | None = None
    for match in _WORD.finditer(text):
        start, end = match.span()
        if match["numbered"]:
            syllables = _numbered(match["numbered"])
        elif last_end is not None and text[last_end:start] in (" ", "-") and match[0] in PARTICLES:
            syllables = (Syllable(match[0], NEUTRAL),)
        else:
            syllables = _marked(match[0], start) if marked else ()
        if syllables:
            yield PinyinWord(start, end, syllables)
        last_end = end if syllables else None


def _numbered(word: str) -> tuple[Syllable, ...]:
    syllables: list[Syllable] = []
    for spelling, tone, erhua in _ONE_NUMBERED.findall(word):
        if len(spelling) == 1 and spelling.isupper():
            return ()
        letters = spelling.lower().replace("u:", "v").replace("ü", "v")
        syllable = legal_syllable(letters + ("r" if erhua else ""), int(tone))
        if syllable is None:
            return ()
        syllables.append(syllable)
    return tuple(syllables)


def _marked(word: str, start: int) -> tuple[Syllable, ...]:
    letters = letters_of(word, start)
    if letters is None or not any(letter.tone for letter in letters):
        return ()
    try:
        return syllables_of(letters)
    except UnreadableError as error:
        syllable = word[error.index - start :]
        raise PinyinError(syllable, error.index + 1, word) from None
