"""Where a voice's objects are in the store."""

from __future__ import annotations

import hashlib
import re
import secrets

VOICES = "voices/"
AUDIT = "audit/voices/"
_ID = re.compile(r"voice_[0-9a-f]{24}")
_RECORD = re.compile(rf"{VOICES}({_ID.pattern})/voice\.json")


def new_id() -> str:
    return f"voice_{secrets.token_hex(12)}"


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def record_key(voice_id: str) -> str:
    return f"{VOICES}{voice_id}/voice.json"


def id_of_record(key: str) -> str | None:
    """The voice whose record this key is, None for another object."""
    found = _RECORD.fullmatch(key)
    return None if found is None else found[1]


def sample_key(voice_id: str, sha256: str) -> str:
    """Named by its content: of two uploads that race for one voice, neither writes over the other's sample."""
    return f"{VOICES}{voice_id}/{sha256}.wav"


def names_folder(client: str) -> str:
    return f"{VOICES}names/{client}/"


def name_key(client: str, name: str) -> str:
    """The object that says which voice has this name: written only once, it makes a client's names unique."""
    return f"{names_folder(client)}{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}.json"
