"""The ledger in the store: one object for each day and server start, `usage/YYYY/MM/DD/NODE.json`."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from speech_server.storage.regularly import keep_regularly
from speech_server.storage.store import Store, StoreError
from speech_server.usage.ledger import Day, Ledger, Use

_LAST_KEEP_SECONDS = 5.0

log = logging.getLogger("speech_server.usage")


def folder_of(day: date) -> str:
    return f"usage/{day:%Y/%m/%d}/"


def to_json(day: Day) -> bytes:
    """One day of one server."""
    accounts = [{"client": client, "kind": kind, **asdict(use)} for (client, kind), use in sorted(day.items())]
    return json.dumps({"accounts": accounts}).encode()


def from_json(data: bytes) -> Day:
    """Raises ValueError for what is no day of a server."""
    try:
        accounts: list[Mapping[str, Any]] = json.loads(data)["accounts"]
        return {
            (str(account["client"]), str(account["kind"])): Use(
                clips=int(account["clips"]),
                characters=int(account["characters"]),
                audio_seconds=float(account["audio_seconds"]),
                synthesis_seconds=float(account["synthesis_seconds"]),
            )
            for account in accounts
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"no day of usage: {type(error).__name__}") from None


class UsageObjects:
    """`run()` beside the requests, `close()` at the end. `node` is a name that no other server start has."""

    def __init__(self, store: Store, ledger: Ledger, node: str) -> None:
        self._store = store
        self._ledger = ledger
        self._node = node
        self._keeping = asyncio.Lock()  # of two writers of one object, the one with the older count might be the last

    async def run(self) -> None:
        await keep_regularly(self.keep, log, "usage_not_kept")

    async def keep(self) -> None:
        """Write the days that changed, whole. Raises StoreError."""
        async with self._keeping:
            for day, accounts in self._ledger.changed().items():
                await self._store.put(f"{folder_of(day)}{self._node}.json", to_json(accounts), "application/json")
                self._ledger.kept(day, accounts)

    async def close(self) -> None:
        try:
            await asyncio.wait_for(self.keep(), _LAST_KEEP_SECONDS)
        except (StoreError, asyncio.TimeoutError) as error:
            lost = {str(day): to_json(accounts).decode() for day, accounts in self._ledger.changed().items()}
            # Into the log, so that it can still be charged for.
            log.error("usage_lost", extra={"fields": {"problem": type(error).__name__, "usage": lost}})
