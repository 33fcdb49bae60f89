"""Voices on a real folder: one replica, or two that know nothing of each other but the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from speech_server.storage.file import FileStore
from speech_server.voices.audit import AuditLog
from speech_server.voices.registration import Registration
from speech_server.voices.registry import Voices
from speech_server.voices.statements import Statements, check_statements
from speech_server.voices.voice import Voice
from tests.inference.voices.speech import speech_file

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Replica:
    """One server's voices; `clock` is only its own."""

    def __init__(self, folder: Path, work: Path, max_voices: int = 1000) -> None:
        self.clock = Clock()
        self.work = work
        self.store = FileStore(folder, None)
        self.voices = Voices(self.store, work, self.clock)
        self.registration = Registration(self.store, AuditLog(self.store), max_voices)

    async def add(self, client: str, name: str, voice: str = "default", **fields: str) -> Voice:
        return await self.registration.add(client, statements(name, **fields), speech_file(voice))

    async def delete(self, voice: Voice) -> None:
        await self.registration.delete(voice, voice.owner)
        self.voices.forget(voice)

    async def sweep(self) -> None:
        await self.voices._samples.sweep_once()  # what `sweep` does every 15 s

    def sample_files(self) -> list[Path]:
        return [path for path in (self.work / "voices").rglob("*") if path.is_file()]


def statements(name: str, **fields: str) -> Statements:
    given = {"consent": "The speaker agreed in writing.", "source": "Recorded in our own studio.", "scope": "private"}
    given |= fields
    return check_statements(name, given["consent"], given["source"], given["scope"], ())


@pytest.fixture
def run() -> Iterator[Run[Any]]:
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.close()


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    made = Replica(tmp_path / "objects", tmp_path / "work-1")
    yield made
    made.store.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Replica]:
    made = Replica(tmp_path / "objects", tmp_path / "work-2")
    yield made
    made.store.close()
