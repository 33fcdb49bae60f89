"""A folder of weights on this machine: who works on it, what is in it, and what is only half there.

`.partial/PATH` is a file that is not yet whole and right; only then is it renamed to PATH.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from speech_server.weights import manifest, marker
from speech_server.weights.failure import Exit, TransferError, disk_failure
from speech_server.weights.manifest import Manifest
from speech_server.weights.progress import gigabytes
from speech_server.weights.together import Stop, check_stop

_LOCK = ".lock"
_PARTIAL = ".partial"
_LOCK_POLL_SECONDS = 0.2
# Left over when all is there: file systems get slow and logs fail on a disk that is full to the last byte.
_SPARE_BYTES = 64 << 20


class WeightsFolder:
    """No symbolic link in it is followed. Every method raises TransferError for what the disk refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self, say: Callable[[str], None], stop: Stop) -> Generator[None]:
        """Makes the folder, and waits while another program works on it; one that died holds nothing."""
        with self._disk():
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            told = False
            while not _try_lock(handle):
                if not told:
                    say(f"another program works on {self.path}: waiting for it")
                    told = True
                check_stop(stop)
                time.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(handle)

    def manifest(self) -> bytes | None:
        """The folder's own, None if it has none."""
        with self._disk():
            try:
                return (self.path / manifest.NAME).read_bytes()
            except FileNotFoundError:
                return None

    def is_verified(self, data: bytes) -> bool:
        """Whether all files of the manifest `data` are there, were verified, and have not changed since."""
        return self.manifest() == data and marker.unverified(self.path) is None

    def begin(self, data: bytes, listed: Manifest) -> None:
        """From now on a server refuses the folder, until `finish`. Files of the manifest before, which the new one does
        not have, are deleted: a disk would fill with every new version.
        """
        with self._disk():
            marker.unmark(self.path)
            before = self.manifest()
            if before is not None and before != data:
                self._forget(before, {file.path for file in listed.files})
            marker.write_whole(self.path / manifest.NAME, data, durable=False)

    def unmark(self) -> None:
        """Its files are about to change."""
        with self._disk():
            marker.unmark(self.path)

    def finish(self, data: bytes, durable: bool) -> None:
        """All files of the manifest `data` are there and right. `durable`: force them to the disk first, which takes as
        long as the disk takes.
        """
        with self._disk():
            self.drop_partial()
            if durable:
                paths = [self.path / file.path for file in manifest.parse(data).files]
                for path in [self.path / manifest.NAME, *paths]:
                    marker.sync(path)
                for folder in sorted({path.parent for path in paths}):
                    marker.sync_folder(folder)
            marker.mark(self.path, data, durable)

    def partial(self, path: str) -> Path:
        """Where the file is while it is not whole; a whole one that nobody vouches for becomes one."""
        with self._disk():
            partial, final = self.path / _PARTIAL / path, self.path / path
            for one in (partial, final):
                self._make_folder(one.parent)
            if is_file(final):
                final.replace(partial)
            return partial

    def settle(self, path: str) -> None:
        """The file is whole and right: it gets its name."""
        with self._disk():
            (self.path / _PARTIAL / path).replace(self.path / path)

    def check_space(self, sizes: Iterable[tuple[str, int]]) -> None:
        """`sizes`: path and bytes of what shall be there. Raises TransferError with the figures."""
        with self._disk():
            missing = sum(max(0, size - self._allocated(path)) for path, size in sizes)
            free = shutil.disk_usage(self.path).free
        if missing and missing + _SPARE_BYTES > free:
            raise TransferError(
                Exit.DISK,
                f"{self.path}: {gigabytes(missing)} are still to come, and the disk has {gigabytes(free)} free: "
                "free space, or use a larger disk",
            )

    def files(self) -> list[str]:
        """Every file but hidden ones and the set's own notes. Raises TransferError for what a set cannot hold."""
        found: list[str] = []
        with self._disk():
            for root, folders, names in os.walk(self.path, onerror=_raise):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in [*folders, *names]:
                    path = Path(root, name)
                    relative = path.relative_to(self.path).as_posix()
                    mode = path.lstat().st_mode
                    if stat.S_ISDIR(mode) or name.startswith(".") or relative in (manifest.NAME, marker.NAME):
                        continue
                    if not stat.S_ISREG(mode):
                        raise TransferError(
                            Exit.CONTENT,
                            f"{relative!a} is a link or no file: copy the folder with `cp -rL`, and push the copy",
                        )
                    if not manifest.is_path(relative):
                        raise TransferError(
                            Exit.CONTENT,
                            f"{relative!a} cannot be stored under this name: letters, digits and ._=+@- only; "
                            "rename it, or move it out of the folder",
                        )
                    found.append(relative)
        return sorted(found)

    def drop_partial(self) -> None:
        with self._disk(), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path / _PARTIAL)

    def _forget(self, before: bytes, kept: set[str]) -> None:
        with contextlib.suppress(TransferError):  # one that cannot be read names nothing to delete
            for file in manifest.parse(before).files:
                final = self.path / file.path
                if file.path not in kept and is_file(final):
                    self._check_inside(final.parent)
                    final.unlink()

    def _allocated(self, path: str) -> int:
        """Bytes on the disk already, of the file or what there is of it."""
        most = 0
        for one in (self.path / path, self.path / _PARTIAL / path):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found = one.lstat()
                most = max(most, min(found.st_size, 512 * found.st_blocks))
        return most

    def _make_folder(self, folder: Path) -> None:
        """And those above it, link by link: one that leads elsewhere is not followed."""
        made = self.path
        for part in folder.relative_to(self.path).parts:
            made /= part
            made.mkdir(exist_ok=True)
            if made.is_symlink():
                raise TransferError(Exit.DISK, f"{made}: a symbolic link is in the way: remove it")

    def _check_inside(self, folder: Path) -> None:
        if folder.resolve() != self.path.resolve() / folder.relative_to(self.path):
            raise TransferError(Exit.DISK, f"{folder}: a symbolic link is in the way: remove it")

    @contextmanager
    def _disk(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise disk_failure(error, Path(error.filename or self.path)) from None


def is_file(path: Path) -> bool:
    """A regular file, no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _raise(error: OSError) -> None:
    raise error
