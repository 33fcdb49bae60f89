"""From a folder to the bucket: the files that are not there yet, in parallel, and the manifest when all are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from speech_server.engines.indextts2.weights import version_of, weights_problems
from speech_server.weights import manifest
from speech_server.weights.claim import Holder, Pace, Sent, newest, take_or_wait
from speech_server.weights.failure import Exit, TransferError, disk_failure
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.manifest import PART_BYTES, File, Manifest, Origin, encode, name_clash, parse
from speech_server.weights.place import Kept, WeightsPlace
from speech_server.weights.progress import Progress
from speech_server.weights.sums import Summing, sums_of
from speech_server.weights.together import Stop, check_stop, run_together

_HASHED_AT_ONCE = 4
_FILES_AT_ONCE = 4


def push(
    place: WeightsPlace,
    folder: WeightsFolder,
    origin: Origin | None,
    progress: Progress,
    stop: Stop,
    pace: Pace,
) -> Manifest:
    """When it returns, the place holds the folder's weights. `origin` is that of a folder that has no manifest of its
    own. Raises TransferError, and StoppedError once `stop` is set.
    """
    if not folder.path.is_dir():
        raise TransferError(Exit.SETTINGS, f"{folder.path}: there is no such folder")
    listed = _manifest_of(folder, origin, progress, stop)
    data = encode(listed)

    def is_done() -> bool:
        return _is_there(place, data, listed)

    claimed = take_or_wait(place, progress, stop, is_done, pace)
    if claimed is None:
        progress.say(f"weights/{place.name}/ holds these weights already")
        return listed
    with claimed as holder:
        send_all(place, folder, listed, holder, progress, stop)
    return listed


def send_all(
    place: WeightsPlace, folder: WeightsFolder, listed: Manifest, holder: Holder, progress: Progress, stop: Stop
) -> None:
    """The files that the store lacks, then the manifest; for the holder of the claim. Raises as `push`."""
    progress.begin("push", listed.size)
    work = deque(sorted(listed.files, key=lambda file: -file.size))

    def run(inner: Stop) -> None:
        while True:
            check_stop(inner)
            check_stop(holder.stop)
            try:
                file = work.popleft()
            except IndexError:
                return
            _send(place, folder.path / file.path, file, holder, progress, inner)

    run_together(_FILES_AT_ONCE, run, stop)
    holder.check()
    data = encode(listed)
    if not place.create(manifest.NAME, data):
        _check_same(place, place.manifest() or b"", data)
    progress.end()


def _manifest_of(folder: WeightsFolder, origin: Origin | None, progress: Progress, stop: Stop) -> Manifest:
    """The folder's own, if it was verified against it; else a new one, made from its files."""
    own = folder.manifest()
    if own is not None and folder.is_verified(own):
        return parse(own)
    paths = folder.files()
    clash = name_clash(paths)
    version = version_of(paths)
    if clash is not None or version is None:
        problem = clash or "its files are those of neither version 2 nor 2.5"
        raise TransferError(Exit.CONTENT, f"{folder.path} holds no set of weights: {problem}")
    problems = weights_problems(folder.path, version)
    if problems:
        raise TransferError(Exit.CONTENT, f"{folder.path} holds no whole set of weights: {'; '.join(problems)}")
    made = Manifest(
        version,
        PART_BYTES,
        () if origin is None else (origin,),
        _summed(folder.path, paths, None if origin is None else 0, progress, stop),
    )
    return made if own is None else _as_before(folder.path, parse(own), made)


def _as_before(folder: Path, own: Manifest, made: Manifest) -> Manifest:
    """The folder's own manifest, whose origins are known, if its files are what it says."""
    sums = {file.path: file.sha256 for file in made.files}
    wrong = [file.path for file in own.files if sums.get(file.path) != file.sha256]
    wrong += sorted(sums.keys() - {file.path for file in own.files})
    if wrong:
        raise TransferError(
            Exit.CONTENT,
            f"{folder} is not what its {manifest.NAME} says ({', '.join(wrong[:10])}): if it is as you want it, delete "
            f"that {manifest.NAME} and push again under a new name",
        )
    return own


def _summed(folder: Path, paths: list[str], origin: int | None, progress: Progress, stop: Stop) -> tuple[File, ...]:
    progress.begin("sums", sum((folder / path).stat().st_size for path in paths))
    work = deque(sorted(paths, key=lambda path: -(folder / path).stat().st_size))
    files: list[File] = []

    def run(inner: Stop) -> None:
        def passed(count: int) -> None:
            check_stop(inner)
            progress.moved(count)

        while True:
            try:
                path = work.popleft()
            except IndexError:
                return
            try:
                sums = sums_of(folder / path, passed)
            except OSError as error:
                raise disk_failure(error, folder / path) from None
            files.append(File(path, sums.size, sums.sha256, sums.parts, origin))

    run_together(_HASHED_AT_ONCE, run, stop)
    progress.end()
    return tuple(sorted(files, key=lambda file: file.path))


def _is_there(place: WeightsPlace, data: bytes, listed: Manifest) -> bool:
    """Whether the place has the manifest `data` and its objects, as they were sent. Raises TransferError if it has
    another one: weights that nodes may be reading are never changed.
    """
    found = place.manifest()
    if found is None:
        return False
    _check_same(place, found, data)
    _, claim = newest(place)
    sent = {} if claim is None else claim.sent
    return all(_is_as_sent(place.kept(file.path), file, sent.get(file.path)) for file in listed.files)


def _is_as_sent(kept: Kept | None, file: File, sent: Sent | None) -> bool:
    """Without a record of what was sent, the size must do."""
    if kept is None or kept.size != file.size:
        return False
    return sent is None or (sent.sha256 == file.sha256 and sent.kept == kept)


def _check_same(place: WeightsPlace, found: bytes, data: bytes) -> None:
    if found == data:
        return
    theirs, ours = ({file.path: file.sha256 for file in parse(one).files} for one in (found, data))
    if theirs != ours:
        raise TransferError(
            Exit.CONTENT,
            f"weights/{place.name}/ holds other weights, which nodes may be reading: push under another name",
        )


def _send(place: WeightsPlace, path: Path, file: File, holder: Holder, progress: Progress, stop: Stop) -> None:
    before = holder.sent.get(file.path)
    if before is not None and _is_as_sent(place.kept(file.path), file, before):
        progress.found(file.size)
        return
    moved = 0

    def chunks() -> Iterator[bytes]:
        nonlocal moved
        progress.moved(-moved)
        moved = 0
        summing = Summing()
        try:
            with path.open("rb") as source:
                while data := source.read(PART_BYTES):
                    check_stop(stop)
                    check_stop(holder.stop)
                    summing.update(data)
                    if summing.size > file.size:
                        break
                    yield data
                    moved += len(data)
                    progress.moved(len(data))
        except OSError as error:
            raise disk_failure(error, path) from None
        if summing.size > file.size or summing.finish().sha256 != file.sha256:
            raise TransferError(Exit.CONTENT, f"{path} was changed while it was sent: push again")

    holder.record(file.path, Sent(file.sha256, place.send(file.path, chunks, PART_BYTES, stop)))
