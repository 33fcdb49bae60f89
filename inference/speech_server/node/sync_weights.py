"""`sync-weights`: the weights of this node, on its disk and verified, before the server is started.

SPEECH_STORE (the bucket), SPEECH_WEIGHTS (the folder below weights/ in it), SPEECH_WEIGHTS_DIR (where to on this
machine) and, for a bucket that has none yet, SPEECH_WEIGHTS_SOURCE (a hub's repository, hf://... or modelscope://...).
The last line says what became of it; the exit status has a number for every remedy (`speech_server.weights.failure`).
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from speech_server.weights.claim import Pace
from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.fill import fill
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.hubs import Source, parse_source
from speech_server.weights.manifest import Manifest
from speech_server.weights.place import WeightsPlace, check_name, open_place
from speech_server.weights.progress import Progress, gigabytes
from speech_server.weights.pull import pull
from speech_server.weights.together import Stop

_TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class SyncSettings:
    """`source` is None where only what is in the bucket may be used."""

    store: str
    name: str
    folder: Path
    source: Source | None


def run(environment: Mapping[str, str]) -> int:
    """The exit status."""
    began = time.monotonic()
    try:
        settings = read_sync_settings(environment)
        with _ended_by_sigterm():
            listed = _sync(settings, Progress(sys.stderr), threading.Event(), Pace())
    except TransferError as error:
        sys.stderr.write(f"sync-weights: {error}\n")
        return error.status
    except _Terminated:
        sys.stderr.write("sync-weights: terminated; what is on the disk is kept\n")
        return _TERMINATED
    sys.stdout.write(
        f"sync-weights: {settings.folder} holds weights/{settings.name}/, version {listed.version}, verified: "
        f"{len(listed.files)} files, {gigabytes(listed.size)}, in {time.monotonic() - began:.1f} s\n"
    )
    return Exit.DONE


def read_sync_settings(environment: Mapping[str, str]) -> SyncSettings:
    """Raises TransferError that names every variable that is missing or wrong."""
    missing = [name for name in ("SPEECH_STORE", "SPEECH_WEIGHTS", "SPEECH_WEIGHTS_DIR") if not environment.get(name)]
    if missing:
        raise TransferError(Exit.SETTINGS, f"not set: {', '.join(missing)}")
    folder = Path(environment["SPEECH_WEIGHTS_DIR"])
    if not folder.is_absolute():
        raise TransferError(Exit.SETTINGS, f"SPEECH_WEIGHTS_DIR is {str(folder)[:200]!a}, not an absolute folder")
    try:
        check_name(environment["SPEECH_WEIGHTS"])
    except TransferError as error:
        raise TransferError(Exit.SETTINGS, f"SPEECH_WEIGHTS: {error}") from None
    source = None
    if environment.get("SPEECH_WEIGHTS_SOURCE"):
        try:
            source = parse_source(environment["SPEECH_WEIGHTS_SOURCE"])
        except TransferError as error:
            raise TransferError(Exit.SETTINGS, f"SPEECH_WEIGHTS_SOURCE: {error}") from None
    return SyncSettings(environment["SPEECH_STORE"], environment["SPEECH_WEIGHTS"], folder, source)


def _sync(settings: SyncSettings, progress: Progress, stop: Stop, pace: Pace) -> Manifest:
    place = open_place(settings.store, settings.name)
    try:
        folder = WeightsFolder(settings.folder)
        if place.manifest() is None:
            _fill(place, settings, folder, progress, stop, pace)
        # It is run at every start of the machine: to wait for the disk would only delay the first word.
        return pull(place, folder, progress, stop, durable=False)
    finally:
        place.close()


def _fill(
    place: WeightsPlace, settings: SyncSettings, folder: WeightsFolder, progress: Progress, stop: Stop, pace: Pace
) -> None:
    place.check_there()
    if settings.source is None:
        raise TransferError(
            Exit.ABSENT,
            f"the store has no weights/{place.name}/ and SPEECH_WEIGHTS_SOURCE names no hub to take them from: "
            "run `indextts2 weights push`, or set it to hf://IndexTeam/IndexTTS-2.5 or the like",
        )
    fill(place, settings.source, folder, progress, stop, pace)


class _Terminated(BaseException):
    """The service manager wants the program to end."""


@contextmanager
def _ended_by_sigterm() -> Generator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
