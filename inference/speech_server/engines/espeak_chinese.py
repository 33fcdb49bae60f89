"""Chinese text to the pinyin that espeak-ng's voice `cmn-latn-pinyin` is given.

Why not hanzi: espeak-ng 1.52's own voice `cmn` spells whole syllables in English letters (兄弟, 狗熊 and 贫穷 through
xiong1 and qiong2, which its rules lack; 这儿 and 玩儿 through zhe4r5 and wan2r5), and knows fewer readings from
context. With pypinyin the caller's corrections and the rest of a sentence are one utterance in one voice, and the
library is only ever given letters, digits and blanks. Third tones before a third tone are changed by the library
(ni3hao3 is spoken ni2hao3), the tones of 一 and 不 here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pypinyin
from pypinyin.seg import mmseg

from speech_server.text.chinese_numbers import spell_numbers
from speech_server.text.pinyin import find_numbered_pinyin
from speech_server.text.pinyin_word import Syllable, legal_syllable

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff〇\U00020000-\U000323af]+")
# beside these 一 is a digit or an ordinal and keeps its first tone: 十一, 第一, 一九, 一月
_NUMBER_BEFORE_ONE = frozenset("零〇一二三四五六七八九十百千万亿点第")
_KEEPS_ONE = frozenset("零〇一二三四五六七八九十月号日楼班级")
# syllables that the rules of `cmn` lack, by their phonemes; a tone follows
_PHONEMES_OF = {"jiong": "tS;j'ong", "qiong": "tS;hj'ong", "xiong": "S;j'ong"}
_TONE_PHONEMES = {1: "55", 2: "35", 3: "214", 4: "51", 5: "11"}
_SPOKEN_SYMBOLS = str.maketrans({"℃": "摄氏度", "°": "度", "&": "和", "＆": "和", "+": "加", "=": "等于", "×": "乘"})


@dataclass(frozen=True)
class Word:
    """Syllables said as one word; `characters` are the hanzi that they came from, "" for pinyin of the caller's."""

    syllables: tuple[Syllable, ...]
    characters: str


@dataclass(frozen=True)
class Mark:
    """A character between words that is not spoken: punctuation or a line end."""

    character: str


@dataclass(frozen=True)
class Unknown:
    """A hanzi without a known reading."""

    character: str


def read_chinese(text: str) -> Iterator[Word | Mark | Unknown]:
    """The words and marks of Chinese text in order, each read as it is asked for; blanks are left out."""
    done = 0
    for found in find_numbered_pinyin(text):
        yield from _items_of_hanzi(text[done : found.start])
        yield Word(found.syllables, "")
        done = found.end
    yield from _items_of_hanzi(text[done:])


def with_changed_tones(words: list[Word]) -> list[Word]:
    """The words of one clause with 一 and 不 in the tone that their neighbour gives them; the caller's pinyin stays."""
    flat = [
        (word.characters[place : place + 1], syllable)
        for word in words
        for place, syllable in enumerate(word.syllables)
    ]
    changed: list[Syllable] = []
    for index, (character, syllable) in enumerate(flat):
        before = flat[index - 1][0] if index else ""
        after_character, after = flat[index + 1] if index + 1 < len(flat) else ("", None)
        changed.append(_changed(character, syllable, before, after_character, after))
    result: list[Word] = []
    for word in words:
        count = len(word.syllables)
        result.append(Word(tuple(changed[:count]), word.characters))
        changed = changed[count:]
    return result


def espeak_spelling(word: Word) -> str:
    """A word as text for `cmn-latn-pinyin`, with `[[phonemes]]` where its rules lack a syllable."""
    return "".join(map(_spelling, word.syllables))


def _items_of_hanzi(text: str) -> Iterator[Word | Mark | Unknown]:
    spelled = spell_numbers(text).translate(_SPOKEN_SYMBOLS)
    done = 0
    for match in _HAN.finditer(spelled):
        yield from _marks(spelled[done : match.start()])
        for characters in mmseg.seg.cut(match[0]):
            yield from _word(characters)
        done = match.end()
    yield from _marks(spelled[done:])


def _marks(text: str) -> Iterator[Mark]:
    return (Mark(character) for character in text if character == "\n" or not character.isspace())


def _word(characters: str) -> Iterator[Word | Unknown]:
    readings = pypinyin.lazy_pinyin(
        [characters], style=pypinyin.Style.TONE3, neutral_tone_with_five=True, v_to_u=False, errors="ignore"
    )
    syllables = [_syllable(reading) for reading in readings]
    known = [syllable for syllable in syllables if syllable is not None]
    if len(known) == len(syllables) == len(characters):
        yield Word(tuple(known), characters)
        return
    if len(characters) == 1:
        yield Unknown(characters)
        return
    for character in characters:
        yield from _word(character)


def _syllable(reading: str) -> Syllable | None:
    # pypinyin gives 嗯 as n2 and ng2, 呣 as m2, 哼 also as hng5, 欸 also as ê
    base = {"n": "en", "ng": "en", "m": "mu", "hm": "heng", "hng": "heng", "ê": "ei"}.get(reading[:-1], reading[:-1])
    return legal_syllable(base.replace("ü", "v"), int(reading[-1])) if reading[-1:].isdigit() else None


def _changed(character: str, syllable: Syllable, before: str, after_character: str, after: Syllable | None) -> Syllable:
    # pypinyin's dictionary holds changed tones for some words (一月 as yi2yue4): start from the plain one
    if character == "不" and syllable in (Syllable("bu", 2), Syllable("bu", 4)):
        return Syllable("bu", 2 if after is not None and after.tone == 4 else 4)
    if character != "一" or syllable.base != "yi":
        return syllable
    if after is None or before in _NUMBER_BEFORE_ONE or after_character in _KEEPS_ONE:
        return Syllable("yi", 1)
    # 一个: ge is neutral by convention, its own fourth tone still counts
    return Syllable("yi", 2 if after.tone == 4 or after_character == "个" else 4)


def _spelling(syllable: Syllable) -> str:
    phonemes = _PHONEMES_OF.get(syllable.base)
    spelled = f"[[{phonemes}{_TONE_PHONEMES[syllable.tone]}]]" if phonemes else f"{syllable.base}{syllable.tone}"
    # the library has no merged finals (wánr as war2): a short er follows
    return spelled + ("er5" if syllable.erhua else "")
