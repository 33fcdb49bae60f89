"""What is on the wire when an application ends, or its process does, in the middle of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from speech_server.guarded_http import GuardedHttp

REQUEST = b"GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n"
LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


def start(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


def body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def run(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    path: Path,
    app: Callable[..., Awaitable[None]],
    client: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]],
) -> Any:
    """What `client` returns, connected to a server of `app`."""

    async def talk() -> Any:
        config = uvicorn.Config(app, http=GuardedHttp, log_config=None, lifespan="off", date_header=False)
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(
            lambda: GuardedHttp(config=config, server_state=state, app_state={}), path=str(path)
        )
        async with server:
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                return await client(reader, writer)
            finally:
                writer.close()

    loop = loop_factory()
    try:
        return loop.run_until_complete(talk())
    finally:
        loop.close()


async def everything(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(REQUEST)
    return await reader.read()


@pytest.mark.parametrize("loop_factory", LOOPS)
class TestHead:
    def test_it_is_not_sent_before_the_body(self, loop_factory: Any, tmp_path: Path) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start((b"content-length", b"4")))
            begun.set()
            await go_on.wait()
            await send(body(b"clip"))

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(REQUEST)
            first = asyncio.ensure_future(reader.read(1))
            await begun.wait()
            # What is written is read within one turn of a loop that serves both ends; ten are plenty.
            for _ in range(10):
                await asyncio.sleep(0)
            assert not first.done()
            go_on.set()
            return await first + await reader.read()

        begun, go_on = asyncio.Event(), asyncio.Event()
        received = run(loop_factory, tmp_path / "s", app, client)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert received.endswith(b"\r\n\r\nclip")

    def test_an_application_that_fails_after_it_leaves_nothing_on_the_wire(
        self, loop_factory: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start((b"content-length", b"4")))
            raise RuntimeError

        assert run(loop_factory, tmp_path / "s", app, everything) == b""
        assert "Exception in ASGI application" in caplog.text

    def test_one_without_a_body_is_sent(self, loop_factory: Any, tmp_path: Path) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start((b"content-length", b"4")))
            await send(body(b"clip"))

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(REQUEST.replace(b"GET", b"HEAD"))
            return await reader.read()

        received = run(loop_factory, tmp_path / "s", app, client)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert received.endswith(b"\r\n\r\n")

    def test_an_empty_piece_of_the_body_sends_it(self, loop_factory: Any, tmp_path: Path) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"", more=True))
            await go_on.wait()
            await send(body(b"clip"))

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            go_on.set()
            return head + await reader.read()

        go_on = asyncio.Event()
        assert run(loop_factory, tmp_path / "s", app, client).endswith(b"\r\n\r\n4\r\nclip\r\n0\r\n\r\n")


@pytest.mark.parametrize("loop_factory", LOOPS)
class TestBody:
    @pytest.mark.parametrize("size", [0, 1, 200_000, 30_000_000])
    def test_it_comes_whole_whatever_the_buffer_takes(self, loop_factory: Any, tmp_path: Path, size: int) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start((b"content-length", str(size).encode())))
            await send(body(clip))

        clip = bytes(range(256)) * (size // 256) + bytes(size % 256)
        received = run(loop_factory, tmp_path / "s", app, everything)
        assert received.partition(b"\r\n\r\n")[2] == clip

    def test_it_comes_in_pieces(self, loop_factory: Any, tmp_path: Path) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start((b"content-length", b"400000")))
            for letter in (b"a", b"b", b"c", b"d"):
                await send(body(letter * 100_000, more=letter != b"d"))

        received = run(loop_factory, tmp_path / "s", app, everything)
        assert received.partition(b"\r\n\r\n")[2] == b"".join(letter * 100_000 for letter in (b"a", b"b", b"c", b"d"))

    def test_a_client_that_left_before_it_harms_nobody(self, loop_factory: Any, tmp_path: Path) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/":
                await left.wait()
            await send(start((b"content-length", b"200000")))
            await send(body(bytes(200_000)))
            answered.set()

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
            writer.write(REQUEST)
            await writer.drain()
            writer.transport.abort()
            left.set()
            await answered.wait()
            transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "s"))
            async with httpx.AsyncClient(transport=transport) as other:
                return len((await other.get("http://s/again")).content)

        left, answered = asyncio.Event(), asyncio.Event()
        assert run(loop_factory, tmp_path / "s", app, client) == 200_000
