"""How a caller writes the reading of one word: `<行|XING2>`, `<minute|M IH1 . N AH0 T>`, `<上手|じょうず>`.

The form is IndexTTS-2.5's (https://github.com/index-tts/index-tts, README, "Pronunciation Control"). A reading is
checked here, because a model reads whatever stands between the brackets, legal or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from speech_server.text.pinyin import find_numbered_pinyin
from speech_server.text.pinyin_word import Syllable

MARK = re.compile(r"<([^<>|\n]{1,40})\|([^<>|\n]{1,200})>")

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_KANA = re.compile("[\u3041-\u309f\u30a1-\u30ff]+")
_HIRAGANA = re.compile("[\u3041-\u3096]")
# The phones of the CMU pronouncing dictionary (http://www.speech.cs.cmu.edu/cgi-bin/cmudict); vowels carry a stress.
_VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
_CONSONANTS = frozenset(
    [
        "B",
        "CH",
        "D",
        "DH",
        "F",
        "G",
        "HH",
        "JH",
        "K",
        "L",
        "M",
        "N",
        "NG",
        "P",
        "R",
        "S",
        "SH",
        "T",
        "TH",
        "V",
        "W",
        "Y",
        "Z",
        "ZH",
    ]
)
_PHONES = _CONSONANTS | {vowel + stress for vowel in _VOWELS for stress in "012"}


@dataclass(frozen=True)
class Reading:
    """How `word` is read: as pinyin `syllables`, as CMU phones, or in kana. `text` is upper-case for the last two."""

    kind: Literal["pinyin", "phones", "kana"]
    word: str
    syllables: tuple[Syllable, ...]
    text: str


@dataclass(frozen=True)
class FoundMark:
    """text[start:end] is a mark."""

    start: int
    end: int
    reading: Reading


class MarkError(ValueError):
    """A mark whose reading is none, at the 1-based character `position`."""

    def __init__(self, reading: str, position: int, expected: str) -> None:
        super().__init__(f"{reading!r} in the mark at character {position} is no {expected}")
        self.position = position


def find_marks(text: str) -> list[FoundMark]:
    """Every mark in order. Raises MarkError for a reading that cannot be read."""
    return list(_marks(text))


def _marks(text: str) -> Iterator[FoundMark]:
    for match in MARK.finditer(text):
        word, written = match[1].strip(), match[2].strip()
        yield FoundMark(match.start(), match.end(), _reading(word, written, match.start() + 1))


def _reading(word: str, written: str, position: int) -> Reading:
    if _KANA.fullmatch(written):
        return Reading("kana", word, (), _one_script(written))
    if _HAN.search(word):
        syllables = _syllables(written)
        if not syllables:
            raise MarkError(written, position, "tone-numbered pinyin (XING2) and no kana")
        return Reading("pinyin", word, syllables, "")
    phones = written.upper().split()
    if not phones or not all(phone == "." or phone in _PHONES for phone in phones) or set(phones) == {"."}:
        expected = "row of CMU phones (M IH1 . N AH0 T), which is how a word without Chinese characters is marked"
        raise MarkError(written, position, expected)
    return Reading("phones", word, (), " ".join(phones))


def _syllables(written: str) -> tuple[Syllable, ...]:
    lowered = written.lower()
    words = find_numbered_pinyin(lowered)
    rest = list(lowered)
    for found in words:
        rest[found.start : found.end] = " " * (found.end - found.start)
    if "".join(rest).strip():
        return ()
    return tuple(syllable for found in words for syllable in found.syllables)


def _one_script(kana: str) -> str:
    """Kana of one script as they are; of both, in katakana: the model takes a mixture for letters."""
    hiragana = len(_HIRAGANA.findall(kana))
    if hiragana in (0, len(kana)):
        return kana
    return _HIRAGANA.sub(lambda match: chr(ord(match[0]) + 0x60), kana)
