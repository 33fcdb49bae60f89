"""An answer's head and the first of its body in one write, so that no server dies between the two."""

from __future__ import annotations

import asyncio
import os

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class HeadWithBody:
    """The transport as one request's cycle sees it: its answer's head waits for what the application sends next.

    uvicorn writes the head at once, and uvloop a large body with a call of its own. A server killed between the two
    leaves a load balancer with a head that it has passed on, and no way to ask another server: the client gets a 200
    and no clip. An application that fails between the two has its connection closed with nothing written.
    """

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle) -> None:
        self._transport = transport
        self._cycle = cycle
        self._head: bytes | None = None
        self._head_came = False

    def write(self, data: bytes) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._write_both(head, data)
        elif self._cycle.response_started and not self._head_came and self._cycle.scope["method"] != "HEAD":
            self._head = data
            self._head_came = True
        else:  # more of the body, "100 Continue", or a head that no body follows
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def _write_both(self, head: bytes, body: bytes) -> None:
        sent = 0
        if not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            try:
                sent = os.writev(self._transport.get_extra_info("socket").fileno(), (head, body))
            except OSError:  # a full buffer, or a client that has left: the transport knows what to do about either
                sent = 0
        if sent < len(head):
            self._transport.write(head[sent:] + body)
        elif sent < len(head) + len(body):
            self._transport.write(memoryview(body)[sent - len(head) :])
