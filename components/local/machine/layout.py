"""Where everything of one local stack lives."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from components.local.machine.errors import MachineError

PROJECT_ROOT = Path(__file__).resolve().parents[3]

# sun_path holds 104 bytes on macOS and 108 on Linux, with the closing NUL; supervisor adds ".PID" while it binds.
MAX_SOCKET_PATH = 103
LONGEST_SOCKET_NAME = len("supervisor.sock.4194304")


def absolute(path: str | Path) -> Path:
    """A relative path is taken from the project's root, whatever the working directory; ~ is the user's home."""
    return Path(os.path.normpath(PROJECT_ROOT / Path(path).expanduser()))


@dataclass(frozen=True)
class Layout:
    """The paths under a stack's data directory, all absolute.

    `contained`: servers run in containers, which see folders: what they share lies in folders of its own.
    """

    data: Path
    contained: bool = False

    @classmethod
    def at(cls, data_dir: str | Path, contained: bool = False) -> Layout:
        return cls(absolute(data_dir), contained)

    @property
    def objects(self) -> Path:
        return self.data / "objects"

    @property
    def queue(self) -> Path:
        return self.data / ("queue/queue.sqlite" if self.contained else "queue.sqlite")

    @property
    def keys(self) -> Path:
        return self.data / ("keys/keys.json" if self.contained else "keys.json")

    @property
    def owner(self) -> Path:
        """Says which checkout and stack the directory belongs to."""
        return self.data / "stack.json"

    @property
    def weights(self) -> Path:
        """Where fetched weights lie, a folder for each name."""
        return self.data / "weights"

    @property
    def cache(self) -> Path:
        """What the engine compiles once and reads again; whoever may write here runs code in the engine."""
        return self.data / "cache"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def run(self) -> Path:
        """Configuration files and sockets; the working directory of every process of the stack."""
        return self.data / "run"

    @property
    def sockets(self) -> Path:
        """`run`, unless its path is too long for a socket's address: then a private directory under /tmp."""
        if len(os.fsencode(self.run)) + 1 + LONGEST_SOCKET_NAME <= MAX_SOCKET_PATH:
            return self.run
        digest = hashlib.sha256(os.fsencode(self.run)).hexdigest()[:16]
        return Path("/tmp") / f"indextts2-{os.getuid()}-{digest}"  # noqa: S108 - made private by private_directory()


def private_directory(path: Path) -> None:
    """Make `path` a directory of mode 0700 that belongs to us, and so each parent that is not there yet.

    Raises `MachineError` when it belongs to somebody else, is a link, or cannot be made.
    """
    try:
        # mkdir(parents=True) would give the parents that it makes the usual mode.
        for directory in [*reversed(path.parents), path]:
            if not directory.is_dir():
                directory.mkdir(mode=0o700, exist_ok=True)  # another resource may make it at this moment
        found = path.lstat()
        if path.is_symlink() or found.st_uid != os.getuid():
            raise MachineError(f"{path} belongs to another user or is a link; remove it, or set indextts2:dataDir")
        if found.st_mode & 0o777 != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise MachineError(f"{path}: {error.strerror}; make it writable, or set indextts2:dataDir") from None


def write_private(path: Path, text: str) -> None:
    """Replace `path` as a whole by a file of mode 0600, so that a reader sees the old text or the new one.

    Raises `MachineError` when it cannot be written (a full disk, say).
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise MachineError(f"{path}: {error.strerror}; mend that, then run it again") from None


def read_text(path: Path) -> str | None:
    """The file's text, or None when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
