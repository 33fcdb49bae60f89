"""Text from a request: what of it can be spoken, and what must not reach an engine."""

from __future__ import annotations

import re
import unicodedata


class TextError(ValueError):
    """A text that cannot be used: `code` for programs, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# Line and paragraph ends and tabs separate words; they become plain spaces and newlines.
_NEWLINES = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Cc: controls. Cf: zero-width marks, bidi overrides, tags, soft hyphens. Co: private use. Cn: not characters at all.
_UNSPEAKABLE_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cn"})


def clean_text(text: str) -> str:
    """The text in Unicode NFC without control, format, private-use and unassigned characters, ends stripped.

    Line ends of every kind become "\\n", tabs and other blanks become a space. Raises TextError with the code
    text_not_unicode for half a surrogate pair, which no UTF-8 can carry.
    """
    for position, character in enumerate(text, start=1):
        if "\ud800" <= character <= "\udfff":
            raise TextError(
                "text_not_unicode",
                f"character {position} is half of a surrogate pair (U+{ord(character):04X}): send whole characters",
            )
    spaced = _NEWLINES.sub("\n", text)
    kept = "".join(_speakable(character) for character in spaced)
    return unicodedata.normalize("NFC", kept).strip()


def has_speech(text: str) -> bool:
    """Whether there is anything to say: a letter or a digit of any script, CJK characters among them."""
    return any(character.isalnum() for character in text)


def _speakable(character: str) -> str:
    if character == "\n":
        return character
    category = unicodedata.category(character)
    if character == "\t" or category == "Zs":
        return " "
    return "" if category in _UNSPEAKABLE_CATEGORIES else character
