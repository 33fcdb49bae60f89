"""Who listens on a TCP port of this machine."""

from __future__ import annotations

import contextlib
import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Holder:
    """The process that listens. `pid` is None where the system does not tell (another user's process)."""

    pid: int | None
    name: str
    directory: Path | None

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})" if self.pid else "a process of another user"


def problem(host: str, port: int) -> str | None:
    """Why nobody can listen on `host`:`port` now apart from a port that is taken: see `holder`. None when one can."""
    error = _listen_error(host, port)
    if error is None or error.errno == errno.EADDRINUSE:
        return None
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} needs more rights than this user has; set indextts2:port to 1024 or above"
    return f"cannot listen on {host} ({error.strerror}); set indextts2:host to an address of this machine"


def holder(host: str, port: int) -> Holder | None:
    """The process whose listening socket keeps others from `host`:`port`, or None when the port is free."""
    error = _listen_error(host, port)
    if error is None or error.errno != errno.EADDRINUSE:
        return None
    try:
        listening = [
            connection
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        ]
    except psutil.AccessDenied:  # macOS tells only root
        listening = []
    for connection in listening:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end at this moment
            if connection.pid is not None:
                process = psutil.Process(connection.pid)
                return Holder(process.pid, process.name(), _working_directory(process))
    return Holder(None, "", None)


def _working_directory(process: psutil.Process) -> Path | None:
    try:
        return Path(process.cwd())
    except psutil.AccessDenied:
        return None


def _listen_error(host: str, port: int) -> OSError | None:
    """What trying to listen there fails with, or None."""
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None
