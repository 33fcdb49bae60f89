"""The store of a day on which nothing can be written."""

from __future__ import annotations

from speech_server.storage.store import Store, StoreError


class FailingStore(Store):
    def __init__(self) -> None:
        """It needs nothing to fail."""

    async def put(self, key: str, data: bytes, media_type: str, *, create: bool = False) -> None:
        raise StoreError("no route to the store", retryable=True)
