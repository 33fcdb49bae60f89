"""A registered voice: plain data, and its record in the store."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

Scope = Literal["private", "shared"]


@dataclass(frozen=True)
class Voice:
    """`sha256` is that of the stored sample, a mono 16-bit WAV: it pins what the voice sounds like."""

    id: str  # "voice_" and 24 hexadecimal digits
    name: str
    owner: str  # the client that added it
    scope: Scope
    created_at: datetime
    sha256: str
    seconds: float
    sample_rate: int
    consent: str  # who allowed the voice to be used, and how that is known
    source: str  # where the sample is from

    def visible_to(self, client: str) -> bool:
        return self.owner == client or self.scope == "shared"


def record_of(voice: Voice) -> bytes:
    """The content of `voice.json`."""
    return json.dumps({**asdict(voice), "created_at": voice.created_at.isoformat()}, indent=1).encode()


def voice_of(record: bytes) -> Voice:
    """Raises ValueError for what `record_of` did not write."""
    try:
        found: dict[str, Any] = json.loads(record)
        found["created_at"] = datetime.fromisoformat(found["created_at"])
        return Voice(**found)
    except (TypeError, KeyError) as error:
        raise ValueError(f"not the record of a voice: {error}") from None
