"""What a client says about a voice: its name, and on whose word it may be used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from speech_server.api.openai import STOCK_VOICES
from speech_server.errors import ApiError, shown
from speech_server.voices.places import is_id
from speech_server.voices.voice import Scope

MAX_NAME_CHARS = 64
MIN_STATEMENT_CHARS, MAX_STATEMENT_CHARS = 10, 2000
_SCOPES: tuple[Scope, ...] = ("private", "shared")
_LINE_ENDS = re.compile(r"\r\n?")


@dataclass(frozen=True)
class Statements:
    """As `check_statements` found them good."""

    name: str
    consent: str
    source: str
    scope: Scope


def check_statements(
    name: str | None, consent: str | None, source: str | None, scope: str, taken: Collection[str]
) -> Statements:
    """`taken`: the engine's own voices, which go before registered ones of the same name. Raises ApiError."""
    if scope not in _SCOPES:
        raise _wrong("scope", f"must be private or shared, not {shown(scope)}")
    return Statements(
        name=_checked_name(name, taken),
        consent=_checked_statement("consent", consent, "who allowed this voice to be used, for what, and when"),
        source=_checked_statement("source", source, "where the sample is from: who recorded it, and when"),
        scope=scope,
    )


def canonical_name(name: str) -> str:
    """One spelling for what looks the same: an accent may be written in two ways."""
    return unicodedata.normalize("NFC", name)


def _checked_name(name: str | None, taken: Collection[str]) -> str:
    if name is None:
        raise _missing("name", "what the voice is called in requests")
    name = canonical_name(name)
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise _wrong("name", f"must have 1 to {MAX_NAME_CHARS} characters, not {len(name)}")
    if name != name.strip() or any(not _in_name(character) for character in name):
        raise _wrong("name", f"may have letters, digits, spaces inside, and . _ - ( ); {shown(name)} has others")
    if is_id(name):
        raise _wrong("name", "looks like a voice's id: take another one")
    if name in taken or name in STOCK_VOICES:
        raise _wrong("name", f"{shown(name)} is the name of a voice that is always there: take another one")
    return name


def _in_name(character: str) -> bool:
    # Letters, the marks that belong to them in many scripts, and digits of any.
    return unicodedata.category(character)[0] in "LMN" or character in " ._-()·"


def _checked_statement(param: str, text: str | None, meaning: str) -> str:
    if text is None:
        raise _missing(param, meaning)
    text = _LINE_ENDS.sub("\n", text).strip()
    if not MIN_STATEMENT_CHARS <= len(text) <= MAX_STATEMENT_CHARS:
        allowed = f"{MIN_STATEMENT_CHARS} to {MAX_STATEMENT_CHARS:,}"
        raise _wrong(param, f"must say in {allowed} characters {meaning}; it has {len(text):,}")
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t" for character in text):
        raise _wrong(param, "has control characters in it: send plain text")
    return text


def _missing(param: str, meaning: str) -> ApiError:
    return ApiError(400, "missing_parameter", f"{param} is required: {meaning}", param)


def _wrong(param: str, problem: str) -> ApiError:
    return ApiError(400, "invalid_value", f"{param} {problem}", param)
