"""What a client may make the server hold: the size of a body, the time it takes to arrive, all bodies together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speech_server.asgi_headers import header
from speech_server.errors import ApiError, error_response, retry_later
from speech_server.interrupt import Interrupt

# Of all bodies together, in bodies of the largest size: 256 MiB by default.
_BODIES_HELD = 16
# A client that is refused in mid-body would see its connection reset, and not the answer, if nobody read on.
_LINGER_SECONDS = 1.0


class LimitBodies:
    """ASGI middleware: reads a whole body before the route runs, or refuses it without holding it. The body is what
    the route receives, and until then in `scope["state"]["body"]`.

    Too large is 413, too slow 408, and 503 if all bodies together are too many bytes; the connection closes after
    each of these.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = header(scope, b"content-length") or "0"
        if declared == "0" and header(scope, b"transfer-encoding") is None:
            await self._app(scope, receive, send)
            return
        body = _Body()
        try:
            if declared.isdigit() and int(declared) > self._max_bytes:
                raise self._too_large(f"{int(declared):,}")
            here = "body_is_here" in scope["state"]
            complete = await (self._read(receive, body) if here else self._read_in_time(receive, body))
            if complete:
                scope["state"]["body"] = body.whole()
                await self._app(scope, _replay(scope["state"], receive), send)
        except _RefusedError as refused:
            error = refused.answer
            await _refuse(error, scope, receive, send, linger=0 if error.status == 408 else _LINGER_SECONDS)
        finally:
            self._held_bytes -= body.size

    async def _read_in_time(self, receive: Receive, body: _Body) -> bool:
        interrupt = Interrupt()
        message = f"the body was not complete within {self._seconds:g} s"
        late = _RefusedError(ApiError(408, "body_too_slow", message))
        timer = asyncio.get_running_loop().call_later(self._seconds, interrupt, late)
        try:
            return await interrupt.run(self._read(receive, body))
        finally:
            timer.cancel()

    async def _read(self, receive: Receive, body: _Body) -> bool:
        """Fill `body`; False if the client went away meanwhile. Raises _RefusedError."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            chunk = message.get("body", b"")
            if body.size + len(chunk) > self._max_bytes:
                raise self._too_large(f"more than {self._max_bytes:,}")
            if self._held_bytes + len(chunk) > _BODIES_HELD * self._max_bytes:
                raise _RefusedError(retry_later(503, "overloaded", "too many large requests at once", 1))
            body.add(chunk)
            self._held_bytes += len(chunk)
            if not message.get("more_body", False):
                return True

    def _too_large(self, found: str) -> _RefusedError:
        message = f"the body has {found} bytes; at most {self._max_bytes:,} are taken"
        return _RefusedError(ApiError(413, "body_too_large", message))


class _RefusedError(Exception):
    """A body that is not taken; told from what the route behind raises."""

    def __init__(self, answer: ApiError) -> None:
        super().__init__(answer.message)
        self.answer = answer


class _Body:
    """The chunks of a body; `whole()` joins and forgets them, and is called once."""

    def __init__(self) -> None:
        self.size = 0
        self._chunks: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._chunks.append(chunk)

    def whole(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _replay(state: MutableMapping[str, Any], receive: Receive) -> Receive:
    """The body that was read, once, from `state["body"]`; after it whatever the connection tells: its end."""

    async def replayed() -> Message:
        body = state.pop("body", None)
        return await receive() if body is None else {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(error: ApiError, scope: Scope, receive: Receive, send: Send, linger: float) -> None:
    error.headers["Connection"] = "close"

    async def held(message: Message) -> None:
        # The end of the answer closes the connection: held back until the rest of the body was thrown away.
        if message["type"] == "http.response.body":
            await send({**message, "more_body": True})
        else:
            await send(message)

    await error_response(error)(scope, receive, held)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_throw_away(receive), linger)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _throw_away(receive: Receive) -> None:
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)
