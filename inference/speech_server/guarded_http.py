"""uvicorn's HTTP/1.1 connection with the bounds that it lacks: on the size of a request's head and on its slowness."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from speech_server.errors import ApiError, error_response
from speech_server.request_log import request_id
from speech_server.whole_answer import HeadWithBody

MAX_HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 15.0
# A whole answer fits into the kernel's buffer, 3 minutes of WAV or what the system allows: what is in there still
# reaches the load balancer when this process is killed, while half an answer would reach the client as half a clip.
SEND_BUFFER_BYTES = 8 << 20


class GuardedHttp(HttpToolsProtocol):
    """A head that is larger than MAX_HEAD_BYTES or no HTTP is answered 400, a slower one than HEAD_SECONDS closed."""

    _head_bytes = 0
    _in_head = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Most heads come whole, and are never timed.
        if self._in_head and self._head_timer is None:
            self._time_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._count(0)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_is_here()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        # Most requests come in one piece, and nobody need watch the time for those.
        self.scope["state"]["body_is_here"] = True
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.transport = cast(asyncio.Transport, HeadWithBody(cycle.transport, cycle))
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        response = error_response(ApiError(400, "invalid_http", msg))
        head = [
            b"HTTP/1.1 400 Bad Request",
            b"connection: close",
            b"x-request-id: " + request_id(None).encode(),
            *(name + b": " + value for name, value in response.raw_headers),
        ]
        self.transport.write(b"\r\n".join(head) + b"\r\n\r\n" + bytes(response.body))
        self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            # inside a callback of the parser: it stops, and what called it answers 400
            raise ValueError("the request's head is too large")

    def _time_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
