"""The socket that the server listens on: made before the server, so that what is wrong with it is said clearly."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

_BACKLOG = 2048
_MAX_PATH_BYTES = 107  # sockaddr_un on Linux; 103 on macOS, where bind() itself says so


class ListenError(Exception):
    """The address cannot be listened on; the message says which and why."""


@dataclass(frozen=True)
class Listener:
    """A listening socket; `path` and `inode` only for a unix one."""

    socket: socket.socket
    path: Path | None = None
    inode: int | None = None

    def unlink(self) -> None:
        """Take the address away from new clients, if it is still this listener's: another server may have it now."""
        if self.path is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self.inode:
                self.path.unlink()


def listen(address: str) -> Listener:
    """Listen on "unix:/path" or "HOST:PORT". Raises ListenError.

    A unix socket appears at its path ready to be connected to, with mode 0600, in place of whatever socket was there.
    """
    try:
        if address.startswith("unix:"):
            return _listen_unix(Path(address.removeprefix("unix:")))
        host, _, port = address.rpartition(":")
        return _listen_tcp(host.strip("[]"), int(port))
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error.strerror or error}; see SPEECH_LISTEN") from None


def _listen_unix(path: Path) -> Listener:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    if len(os.fsencode(temporary)) > _MAX_PATH_BYTES:
        spare = _MAX_PATH_BYTES - len(os.fsencode(temporary)) + len(os.fsencode(path))
        raise ListenError(f"cannot listen on unix:{path}: the path is too long, at most {spare} bytes are possible")
    if path.exists() and not path.is_socket():
        raise ListenError(f"cannot listen on unix:{path}: there is a file that is no socket; move it away")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        temporary.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            made.bind(os.fspath(temporary))
        finally:
            os.umask(mask)
        made.listen(_BACKLOG)
        inode = temporary.stat().st_ino
        temporary.rename(path)
    except BaseException:
        made.close()
        temporary.unlink(missing_ok=True)
        raise
    return Listener(made, path, inode)


def _listen_tcp(host: str, port: int) -> Listener:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return Listener(made)
