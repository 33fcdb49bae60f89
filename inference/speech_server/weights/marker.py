"""The note in a folder of weights that says: all of it was verified, against this manifest.

A server sees in milliseconds, without reading a weight, whether the note is there, is of the manifest beside it, and
whether any file has changed since. What was not yet forced to the disk is vouched for until the machine starts anew: a
power failure may have taken it. A node starts serving the sooner by that, and verifies again after a start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path

from speech_server.weights import manifest
from speech_server.weights.failure import TransferError
from speech_server.weights.manifest import Manifest

NAME = "VERIFIED"
_MAX_BYTES = 1000
# Of the kernel: the same in every container of the machine, until the next start.
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def unverified(folder: Path) -> str | None:
    """Why a server must not load these weights; None if they were verified, or if the folder has no manifest (its
    owner's own download, which nothing can be compared with).
    """
    try:
        data = (folder / manifest.NAME).read_bytes()
        listed = manifest.parse(data)
        note = json.loads((folder / NAME).read_bytes()[:_MAX_BYTES])
    except FileNotFoundError as error:
        return None if Path(error.filename).name == manifest.NAME else "they were never verified against it"
    except TransferError as error:
        return str(error)
    except (OSError, ValueError) as error:
        return f"{NAME} or the manifest cannot be read ({type(error).__name__})"
    if not isinstance(note, dict) or note.get("manifest") != _sha256(data):
        return "they were verified against another manifest"
    if note.get("files") != _fingerprint(folder, listed):
        return "files have changed since they were verified"
    if note.get("boot") not in (None, _boot()):
        return "the machine was started anew before they were safe on the disk"
    return None


def mark(folder: Path, data: bytes, durable: bool) -> None:
    """To be called when every file of the manifest `data` is in the folder, and right; `durable`: and forced to the
    disk. Raises OSError.
    """
    boot = None if durable else _boot()
    note = {"manifest": _sha256(data), "files": _fingerprint(folder, manifest.parse(data)), "boot": boot}
    write_whole(folder / NAME, json.dumps(note).encode() + b"\n", durable)


def unmark(folder: Path) -> None:
    """Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        (folder / NAME).unlink()
        sync_folder(folder)


def write_whole(path: Path, data: bytes, durable: bool) -> None:
    """The file is the old one or the new one, whatever happens to this program; `durable`: and to the machine. Raises
    OSError.
    """
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """What was renamed in it stays renamed after a power failure. Raises OSError."""
    sync(folder, os.O_DIRECTORY)


def sync(path: Path, flags: int = 0) -> None:
    """Forces a file, or with O_DIRECTORY a folder's entries, to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fingerprint(folder: Path, listed: Manifest) -> str | None:
    """None if a file is missing, no file, or not as long as it should be. Times in whole seconds: image layers and
    archives keep no more.
    """
    lines = []
    for file in listed.files:
        try:
            found = (folder / file.path).lstat()
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode) or found.st_size != file.size:
            return None
        lines.append(f"{file.path}\0{found.st_size}\0{int(found.st_mtime)}\n")
    return _sha256("".join(sorted(lines)).encode())


def _boot() -> str:
    return _BOOT.read_text().strip()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
