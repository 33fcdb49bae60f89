"""How an operator's terms are read: {"M.2": {"zh": "M 二", "en": "M dot two"}, "NVMe": "N V M E"}."""

from __future__ import annotations

import json
from pathlib import Path

_MOST_TERMS = 2000
_LONGEST = 200

Glossary = dict[str, str | dict[str, str]]


class GlossaryError(ValueError):
    """The glossary cannot be used; the message names the term."""


def read_glossary(path: Path) -> Glossary:
    """A JSON file of term -> reading, or of term -> readings by language (zh, en). Raises GlossaryError, OSError."""
    try:
        terms = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise GlossaryError(f"{path} is no JSON in UTF-8: {error}") from None
    if not isinstance(terms, dict) or len(terms) > _MOST_TERMS:
        raise GlossaryError(f"{path} must be an object of at most {_MOST_TERMS:,} terms")
    for term, reading in terms.items():
        readings = reading if isinstance(reading, dict) else {"zh": reading, "en": reading}
        if not term.strip() or len(term) > _LONGEST:
            raise GlossaryError(f"{path}: {term!r} must be 1 to {_LONGEST} characters that are not all blank")
        for language, text in readings.items():
            if language not in ("zh", "en"):
                raise GlossaryError(f"{path}: {term!r} has a reading for {language!r}; there are zh and en")
            # upstream uses a reading as the template of a regular expression
            if not isinstance(text, str) or not text.strip() or "\\" in text or len(text) > _LONGEST:
                what = f"1 to {_LONGEST} characters without a backslash"
                raise GlossaryError(f"{path}: the reading of {term!r} in {language} must be {what}")
    return terms
