"""A client that never finishes the head of its request."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from speech_server import guarded_http
from speech_server.guarded_http import GuardedHttp


async def answer_ok(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


async def talk(path: Path, *pieces: bytes) -> bytes:
    """What a server that serves `answer_ok` sends before it closes the connection."""
    config = uvicorn.Config(answer_ok, http=GuardedHttp, log_config=None, lifespan="off", date_header=False)
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(
        lambda: GuardedHttp(config=config, server_state=state, app_state={}), path=str(path)
    )
    async with server:
        reader, writer = await asyncio.open_unix_connection(str(path))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
    return received


class TestSlowHeads:
    @pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: s\r\nX-Slow"])
    def test_the_connection_is_closed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
        monkeypatch.setattr(guarded_http, "HEAD_SECONDS", 0.05)
        assert asyncio.run(talk(tmp_path / "s", start)) == b""

    def test_the_second_request_of_a_connection_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guarded_http, "HEAD_SECONDS", 0.05)
        received = asyncio.run(talk(tmp_path / "s", b"GET / HTTP/1.1\r\nHost: s\r\n\r\nGET / HTTP/1.1\r\nHo"))
        assert received.count(b"HTTP/1.1 200 OK") == 1
