"""Which language each part of a text is in, seen by its script alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from speech_server.text.pinyin import find_numbered_pinyin

_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KANA = "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
# without the letters that are no longer written: a voice can only name them
_HANGUL = "\u1100-\u1112\u1161-\u1175\u11a8-\u11c2\u3131-\u3163\uac00-\ud7a3"
_LATIN = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0251\u0261\u0300-\u036f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a"
# kana decide for all of an unbroken run, over the two marks that stand between Japanese words
_HAN_AND_KANA = re.compile(f"[{_HAN}{_KANA}、・]+")
_SCRIPTS = (("en", re.compile(f"[{_LATIN}]+")), ("ko", re.compile(f"[{_HANGUL}]+")))
_KANA_LETTER = re.compile(f"[{_KANA}]")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
# what belongs to the word after it: opening brackets and quotes, signs and currencies before a number
_OPENING = frozenset("([{<（［｛「『【《〈〔“‘$¥€£￥#@+-−~～")

# whoever types these types Chinese or Japanese, also right after an English word
_FULL_WIDTH_MARKS = frozenset("，。！？；：、")

OTHER = "other"
LANGUAGES = ("zh", "en", "ja", "ko")


@dataclass(frozen=True)
class Run:
    """A stretch of text in one language: zh, en (any Latin text), ja, ko, or "other" for every other script.

    The runs of a text, joined, are the text.
    """

    language: str
    text: str


def split_by_language(text: str, hint: str | None = None) -> list[Run]:
    """Cut a text into runs of one language.

    Han characters are Chinese, unless kana stand in the same unbroken run of them, or `hint` (BCP 47) is Japanese.
    Tone-numbered pinyin is Chinese. A number takes the language of what it touches, the left side first, then of what
    stands before it, full-width punctuation included, then after it. Punctuation and blanks go with what stands
    before them, opening brackets, quotes and signs with what follows. A text without a letter is one run in the
    hint's language, else English.
    """
    hinted = (hint or "").split("-")[0].lower()
    preferred = hinted if hinted in LANGUAGES else "en"
    languages = _languages_of_letters(text, preferred)
    _settle_numbers(text, languages, preferred)
    _settle_the_rest(text, languages, preferred)
    runs: list[Run] = []
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or languages[end] != languages[start]:
            runs.append(Run(languages[start], text[start:end]))
            start = end
    return runs


def _languages_of_letters(text: str, preferred: str) -> list[str]:
    """The language of each character, "" for what is no letter."""
    languages = [OTHER if character.isalpha() else "" for character in text]
    for language, letters in _SCRIPTS:
        for match in letters.finditer(text):
            languages[match.start() : match.end()] = [language] * len(match[0])
    for match in _HAN_AND_KANA.finditer(text):
        language = "ja" if preferred == "ja" or _KANA_LETTER.search(match[0]) else "zh"
        for index in range(match.start(), match.end()):
            languages[index] = "" if text[index] in "、・" else language
    for word in find_numbered_pinyin(text):
        languages[word.start : word.end] = ["zh"] * (word.end - word.start)
    return languages


def _settle_numbers(text: str, languages: list[str], preferred: str) -> None:
    before = ""
    seen = 0
    chinese = "ja" if preferred == "ja" else "zh"
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        if languages[start]:  # the tone number of pinyin
            continue
        for index in range(seen, start):
            if languages[index] in ("zh", "ja"):
                chinese = languages[index]
            before = chinese if text[index] in _FULL_WIDTH_MARKS else languages[index] or before
        touching_left = languages[start - 1] if start else ""
        touching_right = languages[end] if end < len(text) else ""
        language = touching_left or touching_right or before
        if not language:
            language = next((found for found in languages[end:] if found), "") or preferred
        languages[start:end] = [language] * (end - start)
        before, seen = language, end


def _settle_the_rest(text: str, languages: list[str], fallback: str) -> None:
    following = ""
    for index in range(len(text) - 1, -1, -1):
        if languages[index]:
            following = languages[index]
        elif text[index] in _OPENING and following:
            languages[index] = following
        else:
            # a blank or a comma: what stands before it decides, below
            following = following if text[index] in _OPENING else ""
    preceding = next((language for language in languages if language), fallback)
    for index, language in enumerate(languages):
        preceding = languages[index] = language or preceding
