"""Whether a folder holds what its manifest says: every byte is read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from speech_server.weights import manifest
from speech_server.weights.failure import Exit, TransferError, disk_failure
from speech_server.weights.folder import WeightsFolder, is_file
from speech_server.weights.manifest import File, Manifest
from speech_server.weights.progress import Progress
from speech_server.weights.sums import sha256_of
from speech_server.weights.together import Stop, check_stop, run_together

_FILES_AT_ONCE = 4


@dataclass(frozen=True)
class Verdict:
    """`wrong` has a line for each file that is not what the manifest says."""

    manifest: Manifest
    wrong: tuple[str, ...]


def verify(folder: WeightsFolder, progress: Progress, stop: Stop) -> Verdict:
    """Marks a folder that is right as verified, and one that is not no longer. Raises TransferError, StoppedError."""
    if not folder.path.is_dir():
        raise TransferError(Exit.SETTINGS, f"{folder.path}: there is no such folder")
    with folder.locked(progress.say, stop):
        data = folder.manifest()
        if data is None:
            raise TransferError(
                Exit.ABSENT,
                f"{folder.path} has no {manifest.NAME}, so nothing says what is right in it. "
                "`indextts2 weights pull hf://IndexTeam/IndexTTS-2.5 FOLDER` compares it with the hub's sums, and "
                "fetches only what is missing or wrong",
            )
        listed = manifest.parse(data)
        folder.begin(data, listed)
        progress.begin("verify", listed.size)
        wrong = _wrong(folder, listed, progress, stop)
        progress.end()
        if not wrong:
            folder.finish(data, durable=True)
        return Verdict(listed, wrong)


def _wrong(folder: WeightsFolder, listed: Manifest, progress: Progress, stop: Stop) -> tuple[str, ...]:
    work = deque(sorted(listed.files, key=lambda file: -file.size))
    found: dict[str, str] = {}

    def run(inner: Stop) -> None:
        while True:
            check_stop(inner)
            try:
                file = work.popleft()
            except IndexError:
                return
            problem = _problem(folder, file, progress, inner)
            if problem is not None:
                found[file.path] = f"{file.path}: {problem}"

    run_together(_FILES_AT_ONCE, run, stop)
    return tuple(found[path] for path in sorted(found))


def _problem(folder: WeightsFolder, file: File, progress: Progress, stop: Stop) -> str | None:
    path = folder.path / file.path
    if not is_file(path):
        return "missing, or not a file"
    try:
        size = path.stat().st_size
        if size != file.size:
            return f"has {size:,} bytes, not {file.size:,}"

        def passed(count: int) -> None:
            check_stop(stop)
            progress.moved(count)

        return None if sha256_of(path, passed) == file.sha256 else "wrong sha256: its content is not what it should be"
    except OSError as error:
        raise disk_failure(error, path) from None
