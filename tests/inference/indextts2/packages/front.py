"""Stand-ins for the text part: normaliser, tokenizer of version 2, and splitting by tokens.

Numbers become words, glossary terms their readings. A Chinese character is two tokens in version 2 and one in 2.5.
"""

from __future__ import annotations

import re

_HAN = re.compile("[\u2e80-\u9fff]")
_PINYIN = re.compile("[A-Z]+[1-5]")


class Normalizer:
    def __init__(self) -> None:
        self.term_glossary: dict[str, object] = {}
        self.fails_on: str | None = None
        self.loaded = False

    def load(self) -> None:
        self.loaded = True

    def load_glossary(self, terms: dict[str, object]) -> None:
        self.term_glossary.update(terms)

    def normalize(self, text: str) -> str:
        assert self.loaded
        if self.fails_on is not None and self.fails_on in text:
            print(f"Traceback: cannot read {text}")  # noqa: T201 - upstream prints
            return ""
        language = "zh" if _HAN.search(text) else "en"
        for term, reading in self.term_glossary.items():
            spoken = reading[language] if isinstance(reading, dict) else str(reading)
            text = re.sub(re.escape(term), spoken, text, flags=re.IGNORECASE)
        kept = {match.start() for match in _PINYIN.finditer(text)}
        digits = "零一二三四五六七八九" if language == "zh" else None
        pieces = []
        for match in re.finditer(r"[A-Z]+[1-5]|\d|\D", text):
            if match.start() in kept or not match[0].isdigit():
                pieces.append(match[0])
            else:
                pieces.append(digits[int(match[0])] if digits else f" number{'x' * int(match[0])} ")
        return "".join(pieces)


class Tokenizer:
    """Version 2's: upper-cases, and does not normalise a text of one character."""

    def __init__(self, normalizer: Normalizer) -> None:
        self._normalizer = normalizer

    def tokenize(self, text: str) -> list[str]:
        if not text:
            return []
        if len(text.strip()) == 1:
            return ["<unk>"] if text.strip().isdigit() else ["▁", text]
        tokens = []
        for word in re.findall(r"[\u2e80-\u9fff]|[A-Z]+[1-5]|\w+|[^\w\s]", self._normalizer.normalize(text).upper()):
            tokens += ["▁", word] if _HAN.match(word) else [word]
        return tokens


def split(tokens: int, most: int) -> list[int]:
    """Lengths of segments, none over `most`."""
    full, rest = divmod(tokens, most)
    return [most] * full + ([rest] if rest else [])
