"""From the bucket to a folder: parallel reads of parts, each verified before it is written where it belongs.

A part that is on the disk already and has the right sum is not read again, so that a pull can be killed at any moment
and the next one goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from obstore import Bytes

from speech_server.weights import manifest
from speech_server.weights.failure import Exit, TransferError, disk_failure
from speech_server.weights.folder import WeightsFolder, is_file
from speech_server.weights.manifest import File, Manifest
from speech_server.weights.place import WeightsPlace
from speech_server.weights.progress import Progress
from speech_server.weights.together import Stop, check_stop, run_together

# Each holds one part in memory: 128 MiB together.
THREADS = 16


def pull(place: WeightsPlace, folder: WeightsFolder, progress: Progress, stop: Stop, durable: bool) -> Manifest:
    """When it returns, the folder holds the place's weights, verified; `durable`: and still does after a power failure,
    else it is to be called again after every start of the machine. Raises TransferError, and StoppedError once
    `stop` is set.
    """
    data = place.manifest()
    if data is None:
        place.check_there()
        raise TransferError(
            Exit.ABSENT,
            f"weights/{place.name}/ has no {manifest.NAME}: push weights there, or name a hub to take them from",
        )
    listed = manifest.parse(data)
    with folder.locked(progress.say, stop):
        if folder.is_verified(data):
            if durable:
                folder.finish(data, durable)
            progress.say(f"{folder.path} holds weights/{place.name}/ already, verified")
            return listed
        folder.check_space((file.path, file.size) for file in listed.files)
        folder.begin(data, listed)
        progress.begin("pull", listed.size)
        _fetch(place, folder, listed, progress, stop)
        folder.finish(data, durable)
        progress.end()
    return listed


def _fetch(place: WeightsPlace, folder: WeightsFolder, listed: Manifest, progress: Progress, stop: Stop) -> None:
    work = deque(_tasks(folder, listed))
    run_together(THREADS, lambda inner: _work(work, place, folder, progress, inner), stop)


@dataclass
class _Open:
    """A file that is being completed. `checked`: what is on the disk may be right already."""

    file: File
    path: Path
    part_bytes: int
    checked: bool
    left: int
    lock: threading.Lock


def _tasks(folder: WeightsFolder, listed: Manifest) -> Iterator[tuple[_Open, int]]:
    for file in sorted(listed.files, key=lambda one: -one.size):
        path = folder.partial(file.path)
        try:
            checked = is_file(path)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                os.ftruncate(handle, file.size)
            finally:
                os.close(handle)
        except OSError as error:
            raise disk_failure(error, path) from None
        count = len(file.parts)
        opened = _Open(file, path, listed.part_bytes, checked, count, threading.Lock())
        if not count:
            folder.settle(file.path)
        yield from ((opened, part) for part in range(count))


def _work(
    work: deque[tuple[_Open, int]], place: WeightsPlace, folder: WeightsFolder, progress: Progress, stop: Stop
) -> None:
    while True:
        check_stop(stop)
        try:
            opened, part = work.popleft()
        except IndexError:
            return
        _complete(opened, part, place, progress, stop)
        with opened.lock:
            opened.left -= 1
            last = opened.left == 0
        if last:
            folder.settle(opened.file.path)


def _complete(opened: _Open, part: int, place: WeightsPlace, progress: Progress, stop: Stop) -> None:
    file = opened.file
    start = part * opened.part_bytes
    length = min(opened.part_bytes, file.size - start)
    with _file(opened.path) as handle:
        if opened.checked and _sum_on_disk(handle, start, length) == file.parts[part]:
            progress.found(length)
            return
        pieces = place.part(file.path, start, length, stop)
        if _sum_of(pieces) != file.parts[part]:
            # Once more: what was damaged on its way will be right, what is wrong in the store will not.
            pieces = place.part(file.path, start, length, stop)
            if _sum_of(pieces) != file.parts[part]:
                raise TransferError(
                    Exit.CONTENT,
                    f"weights/{place.name}/{file.path}: bytes {start:,} to {start + length - 1:,} in the store are not "
                    "those of its manifest (wrong sha256): push the weights again",
                )
        for piece in pieces:
            written = 0
            view = memoryview(piece)
            while written < len(view):
                written += os.pwrite(handle, view[written:], start + written)
            start += len(view)
    progress.moved(length)


@contextlib.contextmanager
def _file(path: Path) -> Generator[int]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            yield handle
        finally:
            os.close(handle)
    except OSError as error:
        raise disk_failure(error, path) from None


def _sum_on_disk(handle: int, start: int, length: int) -> str:
    return hashlib.sha256(os.pread(handle, length, start)).hexdigest()


def _sum_of(pieces: list[Bytes]) -> str:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()
