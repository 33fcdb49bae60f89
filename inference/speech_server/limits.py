"""What a client may make the server hold: the size of a body, the time it takes to arrive, all bodies together."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speech_server.errors import ApiError, error_response, retry_later

# Of all bodies together, in bodies of the largest size: 256 MiB by default.
_BODIES_HELD = 16
# A client that is refused in mid-body would see its connection reset, and not the answer, if nobody read on.
_LINGER_SECONDS = 1.0


class LimitBodies:
    """ASGI middleware: reads a whole body before the route runs, or refuses it without holding it.

    Too large is 413, too slow 408, and 503 if all bodies together are too many bytes; the connection closes after
    each of these.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            complete = await asyncio.wait_for(self._read(Headers(scope=scope), receive, body), self._seconds)
        except asyncio.TimeoutError:
            self._held_bytes -= len(body)
            message = f"the body was not complete within {self._seconds:g} s"
            await _refuse(ApiError(408, "body_too_slow", message), scope, receive, send, linger=0)
            return
        except ApiError as error:
            self._held_bytes -= len(body)
            await _refuse(error, scope, receive, send, linger=_LINGER_SECONDS)
            return
        size = len(body)
        try:
            if complete:
                whole = _replay(bytes(body), receive)
                body.clear()
                await self._app(scope, whole, send)
        finally:
            self._held_bytes -= size

    async def _read(self, headers: Headers, receive: Receive, body: bytearray) -> bool:
        """Fill `body`; False if the client went away meanwhile. Raises ApiError."""
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            raise self._too_large(f"{int(declared):,}")
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            chunk = message.get("body", b"")
            if len(body) + len(chunk) > self._max_bytes:
                raise self._too_large(f"more than {self._max_bytes:,}")
            if self._held_bytes + len(chunk) > _BODIES_HELD * self._max_bytes:
                raise retry_later(503, "overloaded", "too many large requests at once", 1)
            body += chunk
            self._held_bytes += len(chunk)
            if not message.get("more_body", False):
                return True

    def _too_large(self, found: str) -> ApiError:
        return ApiError(413, "body_too_large", f"the body has {found} bytes; at most {self._max_bytes:,} are taken")


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read, once; after it whatever the connection tells: its end."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

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
