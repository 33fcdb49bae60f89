"""How long a text is when spoken, by its characters alone: what is known of a voice before it was heard."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Seconds a character at an even pace. Mandarin is spoken at four to five syllables a second, English at about fifteen
# letters a second, Japanese at eight morae; a Chinese character in a Japanese text is most often two morae. A digit is
# a word, and a letter of an abjad stands for a vowel as well. The pauses are those that the engines leave.
_SECONDS = {
    "silent": 0.0,
    "latin": 0.065,
    "han": 0.22,
    "kana": 0.12,
    "hangul": 0.17,
    "arabic": 0.1,
    "other": 0.1,
    "digit": 0.3,
    "symbol": 0.3,
    "clause": 0.16,
    "sentence": 0.36,
}
_KINDS, _EACH = tuple(_SECONDS), tuple(_SECONDS.values())
_PAUSES = ("clause", "sentence")
_LEAST_SECONDS = 0.3  # the shortest word, and something to divide by
_LANGUAGE = {"latin": "en", "han": "zh", "kana": "ja", "hangul": "ko", "arabic": "ar", "other": "other"}
# First and last code points (of UTF-16, in which a pair's second half says nothing more), later ones over earlier ones.
_RANGES = (
    (0x0030, 0x0039, "digit"),
    (0x0041, 0x005A, "latin"),
    (0x0061, 0x007A, "latin"),
    (0x00C0, 0x02AF, "latin"),
    (0x0370, 0x05FF, "other"),
    (0x0600, 0x08FF, "arabic"),
    (0x0900, 0x1DFF, "other"),
    (0x1E00, 0x1EFF, "latin"),
    (0x1F00, 0x1FFF, "other"),
    (0x20A0, 0x2BFF, "symbol"),
    (0x2C00, 0x2DFF, "other"),
    (0x2E80, 0x2FDF, "han"),
    (0x3005, 0x3007, "han"),
    (0x3041, 0x30FF, "kana"),
    (0x3130, 0x318F, "hangul"),
    (0x31F0, 0x31FF, "kana"),
    (0x3200, 0x33FF, "symbol"),
    (0x3400, 0x9FFF, "han"),
    (0xA000, 0xABFF, "other"),
    (0xAC00, 0xD7A3, "hangul"),
    (0xD800, 0xDBFF, "han"),
    (0xF900, 0xFAFF, "han"),
    (0xFB50, 0xFDFF, "arabic"),
    (0xFE70, 0xFEFE, "arabic"),
    (0xFF10, 0xFF19, "digit"),
    (0xFF21, 0xFF3A, "latin"),
    (0xFF41, 0xFF5A, "latin"),
    (0xFF66, 0xFF9F, "kana"),
)
_MARKS = {"symbol": "#$%&+=@£¥€°", "clause": ",;:、，；：・—…", "sentence": ".!?。！？．"}
# The tone of "yao4": no word of its own, unlike the 3 of "MP3".
_TONES = re.compile(r"(?<=[a-zü:])[1-5](?![0-9])")


def _table() -> bytes:
    """The place in _KINDS of each code unit of UTF-16."""
    table = bytearray(1 << 16)
    for first, last, kind in _RANGES:
        table[first : last + 1] = bytes([_KINDS.index(kind)]) * (last + 1 - first)
    for kind, marks in _MARKS.items():
        for mark in marks:
            table[ord(mark)] = _KINDS.index(kind)
    return bytes(table)


_TABLE = _table()


@dataclass(slots=True)
class Prior:
    """`seconds` of speech (> 0), and the `language` that most of it is in: zh, en (any Latin text), ja, ko, ar or
    "other", or what the caller says that it is.
    """

    seconds: float
    language: str


def prior_of(text: str, language: str | None = None) -> Prior:
    """What is expected of `text`; `language`: the BCP 47 tag that came with it."""
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    kinds = bytes(map(_TABLE.__getitem__, units))
    seconds = {_KINDS[place]: kinds.count(place) * _EACH[place] for place in sorted(set(kinds))}
    if "digit" in seconds and "latin" in seconds:
        seconds["digit"] -= len(_TONES.findall(text)) * _SECONDS["digit"]
    total = sum(seconds.values())
    if kinds and _KINDS[kinds[-1]] in _PAUSES:
        total -= _EACH[kinds[-1]]  # nobody waits after the last sentence
    return Prior(max(_LEAST_SECONDS, total), _base(language) if language else _language(seconds))


def _base(tag: str) -> str:
    language = tag.split("-")[0].lower()
    return "zh" if language == "cmn" else language


def _language(seconds: dict[str, float]) -> str:
    spoken = {_LANGUAGE[kind]: of_kind for kind, of_kind in seconds.items() if kind in _LANGUAGE}
    if not spoken:
        return "en"
    # Japanese is full of Chinese characters, and Chinese writes no kana
    if "ja" in spoken and "zh" in spoken and spoken["ja"] > spoken["zh"] / 10:
        spoken["ja"] += spoken.pop("zh")
    return max(spoken, key=spoken.__getitem__)
