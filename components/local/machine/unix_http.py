"""HTTP over a Unix socket, for the processes of a stack that listen on nothing else."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from pathlib import Path


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to the socket at `path`. `timeout` in seconds bounds every wait."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def request(path: Path, method: str, target: str, body: str | None = None, **headers: str) -> tuple[int, str]:
    """Status and text of the answer. Raises OSError or http.client.HTTPException when there is none within 10 s."""
    connection = UnixConnection(path, timeout=10)
    try:
        connection.request(method, target, body.encode() if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


class UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over the socket at `path`."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self._path = path
        self._timeout = timeout

    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> UnixConnection:
        connection = UnixConnection(self._path, self._timeout)
        self._connection = (host, connection)  # which close() closes
        return connection
