"""A webhook's receiver on this machine; it answers as it is told and keeps what it was sent."""

from __future__ import annotations

import contextlib
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.listening import serving


class Receiver:
    """`answers` are the statuses to come, the last one repeats; `slowly`: one byte of a long answer, then silence."""

    def __init__(self, *answers: int, tls: ssl.SSLContext | None = None, body: bytes = b"ok") -> None:
        self.answers = list(answers) or [204]
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.body = body
        self.hold = threading.Event()
        self.hold.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver.calls.append((dict(self.headers.items()), content))
                receiver.hold.wait(30)
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.end_headers()
                if status != 204:
                    self.wfile.write(receiver.body)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_port
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}/hook?token=of-the-client"

    def __enter__(self) -> Receiver:
        self._serving = contextlib.ExitStack()
        self._serving.enter_context(serving(self._http))
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._serving.close()
