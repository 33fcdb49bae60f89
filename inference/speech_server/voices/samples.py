"""Voices' samples on this replica's disk, for the engine: fetched when used, gone soon after their voice."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from speech_server.engines.base import Reference
from speech_server.storage.store import NotFoundError, Store, StoreError
from speech_server.voices.places import sample_key
from speech_server.voices.records import VoiceRecords
from speech_server.voices.voice import Voice

SWEEP_SECONDS = 15.0
# The engine may be about to open a sample that was just handed out.
HELD_SECONDS = 20.0
_IDLE_SECONDS = 600.0
# Not confirmed for so long, a sample goes, even if only because the store cannot be asked.
_UNCONFIRMED_SECONDS = 50.0

log = logging.getLogger("speech_server.voices")


@dataclass
class _Sample:
    reference: Reference
    used: float  # by the clock


class VoiceSamples:
    """`clock` gives seconds and never goes back. Raises OSError when it is made and the folder is not to be had."""

    def __init__(
        self, store: Store, records: VoiceRecords, folder: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._records = records
        self._folder = folder / "voices"
        self._clock = clock
        self._samples: dict[str, _Sample] = {}
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # What a run before left: nobody would ever look whether those voices are still there.
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)

    async def reference(self, voice: Voice) -> Reference | None:
        """The voice's sample as a file; None if it is gone from the store. Raises StoreError."""
        sample = self._on_disk(voice)
        if sample is not None:
            return sample
        lock = self._fetching.setdefault(voice.id, asyncio.Lock())
        async with lock:
            return self._on_disk(voice) or await self._fetch(voice)

    async def sweep(self) -> None:
        """Runs until cancelled: confirms the voices that have samples here, and removes what must not stay."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep_once()
            except Exception:  # a fault must not end what privacy depends on
                log.exception("voice_sweep_failed")

    async def sweep_once(self) -> None:
        await asyncio.gather(*(self._look_after(voice_id, sample) for voice_id, sample in list(self._samples.items())))

    def _on_disk(self, voice: Voice) -> Reference | None:
        sample = self._samples.get(voice.id)
        if sample is None or not Path(sample.reference.path).exists():
            return None
        sample.used = self._clock()
        return sample.reference

    async def _fetch(self, voice: Voice) -> Reference | None:
        try:
            content = await self._store.get(sample_key(voice.id, voice.sha256))
        except NotFoundError:
            return None
        if hashlib.sha256(content).hexdigest() != voice.sha256:
            raise StoreError(f"the sample of {voice.id} in the store is not the one that was put there")
        folder = self._folder / voice.id
        path = await asyncio.to_thread(_write, folder, f"{voice.sha256}.wav", content)
        reference = Reference(sha256=voice.sha256, path=str(path), seconds=voice.seconds)
        self._samples[voice.id] = _Sample(reference, self._clock())
        return reference

    async def _look_after(self, voice_id: str, sample: _Sample) -> None:
        if self._clock() - sample.used > _IDLE_SECONDS:
            self._remove(voice_id)
            return
        try:
            there = await self._records.get(voice_id, max_age=SWEEP_SECONDS / 2) is not None
        except StoreError:
            there = self._records.age(voice_id) < _UNCONFIRMED_SECONDS
        if not there and self._clock() - sample.used > HELD_SECONDS and self._samples.get(voice_id) is sample:
            self._remove(voice_id)

    def _remove(self, voice_id: str) -> None:
        del self._samples[voice_id]
        shutil.rmtree(self._folder / voice_id, ignore_errors=True)


def _write(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        return Path(temporary).replace(folder / name)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
