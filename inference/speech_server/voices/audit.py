"""Who added and deleted which voice, when, and on whose word: entries that are written once and never changed."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from speech_server.storage.store import NotFoundError, Store
from speech_server.voices.places import AUDIT
from speech_server.voices.voice import Voice

_READS_AT_ONCE = 16


@dataclass(frozen=True)
class AuditEntry:
    """`id` is its place in the listing: later entries of a client have higher ones."""

    id: str
    time: datetime
    action: Literal["added", "deleted"]
    by: str  # the client whose key was used
    voice: str
    name: str
    owner: str
    scope: str
    sha256: str
    seconds: float
    consent: str
    source: str


class AuditLog:
    """An entry is written before what it tells of happens, so that nothing happens without one. What then fails and is
    tried again is told of twice.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, action: Literal["added", "deleted"], by: str, voice: Voice) -> None:
        """Raises StoreError."""
        now = datetime.now(timezone.utc)
        entry_id = f"{voice.owner}/{now:%Y/%m/%d/%H%M%S.%f}-{action}-{voice.id}-{secrets.token_hex(4)}"
        entry = AuditEntry(
            id=entry_id,
            time=now,
            action=action,
            by=by,
            voice=voice.id,
            name=voice.name,
            owner=voice.owner,
            scope=voice.scope,
            sha256=voice.sha256,
            seconds=voice.seconds,
            consent=voice.consent,
            source=voice.source,
        )
        content = json.dumps({**asdict(entry), "time": now.isoformat()}, indent=1).encode()
        await self._store.put(f"{AUDIT}{entry_id}.json", content, "application/json", create=True)

    async def entries(self, owner: str | None, after: str | None, limit: int) -> list[AuditEntry]:
        """Up to `limit` entries of one client's voices, None for those of all, by owner and time, from the one after
        the entry `after` on. Raises StoreError, and ValueError for an `after` that is no entry's id.
        """
        folder = AUDIT if owner is None else f"{AUDIT}{owner}/"
        keys = []
        async for found in self._store.list(folder, None if after is None else f"{AUDIT}{after}.json"):
            keys.append(found.key)
            if len(keys) == limit:
                break
        entries = []
        for start in range(0, len(keys), _READS_AT_ONCE):
            entries += await asyncio.gather(*map(self._read, keys[start : start + _READS_AT_ONCE]))
        return [entry for entry in entries if entry is not None]

    async def _read(self, key: str) -> AuditEntry | None:
        try:
            found: dict[str, Any] = json.loads(await self._store.get(key))
        except NotFoundError:
            return None  # its time of retention ended meanwhile
        found["time"] = datetime.fromisoformat(found["time"])
        return AuditEntry(**found)
