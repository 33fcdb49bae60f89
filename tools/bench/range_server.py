"""A folder's files by HTTP, ranges too, all answers together as fast as a line is: `range_server DIR MEGABYTES`.

It answers GET and HEAD as S3 answers them for objects, prints its port, and is nothing else: it verifies no signature.
MEGABYTES a second; 0 is no limit.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_SLICE_BYTES = 256 << 10
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class Line:
    """What is sent by all together."""

    def __init__(self, bytes_per_second: float) -> None:
        self._speed = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = 0.0

    def pass_on(self, count: int) -> None:
        """Returns when so many bytes more may be sent."""
        if not self._speed:
            return
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + count / self._speed
            wait = self._free_at - time.monotonic()
        time.sleep(max(0.0, wait))


class Handler(BaseHTTPRequestHandler):
    folder = Path()
    line = Line(0)
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass

    def do_GET(self) -> None:
        path = self.folder / unquote(urlsplit(self.path).path).lstrip("/")
        if ".." in path.parts or not path.is_file():
            self._head(404, 0, {})
            return
        with path.open("rb") as file:
            size = path.stat().st_size
            start, end = 0, size - 1
            found = _RANGE.fullmatch(self.headers.get("range", ""))
            headers = {"ETag": f'"{size}"', "Last-Modified": formatdate(path.stat().st_mtime, usegmt=True)}
            if found is not None:
                start, end = int(found[1]), min(int(found[2]), size - 1)
                headers["Content-Range"] = f"bytes {start}-{end}/{size}"
            self._head(206 if found else 200, end + 1 - start, headers)
            while self.command == "GET" and start <= end:
                count = min(end + 1 - start, _SLICE_BYTES)
                self.line.pass_on(count)
                start += os.sendfile(self.connection.fileno(), file.fileno(), start, count)

    do_HEAD = do_GET  # noqa: N815 - the base class names it

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.flush()


def main() -> None:
    Handler.folder = Path(sys.argv[1])
    Handler.line = Line(1e6 * float(sys.argv[2]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
