"""The request that a server sends itself before its first client's: that it was answered, and that it left no trace."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send

from speech_server import rehearsal
from speech_server.service import Service
from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import RunningServer


def metrics_of(server: RunningServer) -> str:
    with server.client() as client:
        return client.get("/metrics").text


class TestTraces:
    def test_there_are_none_of_it(self, start_server: StartServer) -> None:
        server = start_server()
        text = metrics_of(server)
        assert "/generate" not in text
        assert "speech_audio_seconds_total 0.0" in text
        assert 'speech_lane_wait_seconds_count{kind="request"}' not in text
        assert "speech_dedup_bytes 0.0" in text
        assert server.calls() == []
        assert [line for line in server.log("request") if line["route"] == "/generate"] == []
        assert server.log("rehearsal_failed") == []
        # the first client's is the first that is counted
        assert server.generate("hello").status_code == 200
        assert 'speech_http_requests_total{method="POST",route="/generate",status="200"} 1.0' in metrics_of(server)


class TestFailure:
    @pytest.mark.parametrize("status", [500, None])
    def test_it_is_told_and_stops_nothing(
        self, status: int | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(rehearsal, "_SECONDS", 0.2)
        monkeypatch.setattr(rehearsal, "_stand_in", lambda service: service)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive
            if status is None:
                await asyncio.Event().wait()
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

        with caplog.at_level(logging.WARNING):
            asyncio.run(rehearsal.rehearse(cast(Service, None), lambda _: app))
        failed: list[Any] = [record for record in caplog.records if record.message == "rehearsal_failed"]
        assert [record.fields["status"] for record in failed] == [str(status or "TimeoutError")]
