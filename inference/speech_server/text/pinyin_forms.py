"""Pinyin in the form that IndexTTS2 was trained with: `JV2`, `LVE4`, erhua as 儿 after the syllable.

Both versions read the syllables of `checkpoints/pinyin.vocab` in https://github.com/index-tts/index-tts: upper-case,
tone 1-5 behind, ü as V, and V also after J, Q and X, where pinyin writes u. Version 2 takes them inside the text,
version 2.5 inside a mark.
"""

from __future__ import annotations

from speech_server.text.pinyin_word import Syllable

# Legal syllables that are not in the model's table.
UNREADABLE = frozenset({"biang", "den", "eng", "fiao", "kei", "lo", "nia", "nou", "nun", "tei", "yai", "zhei"})

_ROUNDED_AFTER = ("j", "q", "x")


class UnreadablePinyinError(ValueError):
    """A legal syllable that the model was not trained with."""

    def __init__(self, syllable: Syllable) -> None:
        super().__init__(f"{syllable} is legal pinyin that IndexTTS2 has no sound for: write the character instead")


def marked_form(syllable: Syllable) -> str:
    """As a mark, erhua behind it: <你|WAN2>儿. Raises UnreadablePinyinError.

    What stands before the bar only says that the reading is pinyin, and any Chinese character does; this one is in no
    Japanese word.
    """
    return f"<你|{spelling(syllable)}>" + ("儿" if syllable.erhua else "")


def spelling(syllable: Syllable) -> str:
    """The syllable as the model's table has it, erhua left out. Raises UnreadablePinyinError."""
    base = syllable.base
    if base in UNREADABLE:
        raise UnreadablePinyinError(syllable)
    if base.startswith(_ROUNDED_AFTER) and base[1] == "u":
        base = f"{base[0]}v{base[2:]}"
    return f"{base.upper()}{syllable.tone}"
