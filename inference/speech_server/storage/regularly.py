"""What a server keeps in the store as it goes: written once a minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from speech_server.storage.store import StoreError

# What a server that is killed may lose.
_SECONDS = 60.0


async def keep_regularly(keep: Callable[[], Awaitable[None]], log: logging.Logger, failed: str) -> None:
    """Runs until cancelled. A StoreError of `keep` is logged as the event `failed`; the next round has it all."""
    while True:
        await asyncio.sleep(_SECONDS)
        try:
            await keep()
        except StoreError as error:
            log.warning(failed, extra={"fields": {"problem": str(error)}})
