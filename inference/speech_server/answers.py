"""What a client is answered with when all goes well: sound, whole or growing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A finished answer, the same for everybody who asked for it."""

    body: bytes
    media_type: str
    headers: tuple[tuple[str, str], ...]
    audio_seconds: float = 0.0
    synthesis_seconds: float = 0.0


class GrowingAnswer:
    """An answer whose beginning is there and whose end is not. `headers` are those that are known at its beginning.

    Everybody who reads it has all of it from its first byte, whenever they came and however slowly they read: nobody
    who makes it waits for them.
    """

    def __init__(self, media_type: str, headers: tuple[tuple[str, str], ...]) -> None:
        self.media_type = media_type
        self.headers = headers
        self.whole: Answer | None = None  # once it is finished
        self._pieces: list[bytes] = []
        self._error: BaseException | None = None
        self._news = asyncio.Event()

    @property
    def body(self) -> bytes:
        """What is there by now."""
        return b"".join(self._pieces)

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._tell()

    def finish(self, whole: Answer) -> None:
        """Its body is what was added."""
        self.whole = whole
        self._tell()

    def fail(self, error: BaseException) -> None:
        """There will be no more of it. Who reads gets what is there, and then `error`."""
        self._error = error
        self._tell()

    async def read(self) -> AsyncGenerator[bytes]:
        """The pieces as they come. Raises what it failed with."""
        read = 0
        while True:
            while read < len(self._pieces):
                read += 1
                yield self._pieces[read - 1]
            if self._error is not None:
                raise self._error
            if self.whole is not None:
                return
            await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
