"""An engine process that has had its day is replaced between two calls: real processes, because what is asked is how
one ends and the next begins.
"""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from speech_server.speaker import ready_wait
from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import KEY, RunningServer, until

ELASTIC = "tests.inference.server.elastic_engine:ElasticEngine"
IN_FLIGHT = "speech_http_requests_in_flight"
RESTARTS = 'speech_engine_restarts_total{{reason="{}"}}'


def recycled(server: RunningServer) -> float:
    return server.metric(RESTARTS.format("recycled"))


def assert_no_fault(server: RunningServer) -> None:
    assert server.metric(RESTARTS.format("fault")) == 0
    assert server.metric("speech_engine_retries_total") == 0
    assert not server.log("engine_ended")


class TestReadyWait:
    def test_one_that_died_is_waited_for_shortly(self) -> None:
        assert ready_wait(False, 900.0, 600.0) == ready_wait(False, 900.0, None) == 10.0

    @pytest.mark.parametrize(
        ("left", "seconds"), [(None, 900.0), (600.0, 600.0), (1000.0, 900.0), (0.0, 0.0), (-1.0, 0.0)]
    )
    def test_one_that_is_replaced_as_long_as_there_is_time(self, left: float | None, seconds: float) -> None:
        assert ready_wait(True, 900.0, left) == seconds


class TestRecycling:
    def test_the_call_is_answered_and_the_next_one_waits_for_the_fresh_process(self, start_server: StartServer) -> None:
        server = start_server(engine=ELASTIC)
        (server.control / "slow").touch()
        assert server.generate("worn out").status_code == 200
        until(lambda: recycled(server) == 1)
        nobody = server.metric(IN_FLIGHT)
        with ThreadPoolExecutor(1) as pool:
            began = time.monotonic()
            waiting = pool.submit(server.generate, "the next one")
            until(lambda: server.metric(IN_FLIGHT) > nobody)
            held = time.monotonic()
            # nothing is told to send its requests elsewhere, and none is lost
            assert [server.probe().status_code for _ in range(20)] == [200] * 20
            assert not waiting.done()
            held = time.monotonic() - held
            (server.control / "slow").unlink()
            answer = waiting.result(30)
        assert answer.status_code == 200
        # the wait for the process is not the engine's time
        assert float(answer.headers["x-synthesis-seconds"]) < time.monotonic() - began - held
        first, second = (server.called(text)[0]["pid"] for text in ("worn out", "the next one"))
        assert first != second
        assert_no_fault(server)
        assert [line["reason"] for line in server.log("engine_recycled")] == ["it has had its day"]

    def test_under_load_no_request_fails(self, start_server: StartServer) -> None:
        server = start_server(engine=ELASTIC)
        texts = [f"{'worn' if number % 8 == 0 else 'plain'} number {number}" for number in range(40)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(server.generate, texts))
        assert [answer.status_code for answer in answers] == [200] * 40
        assert len(server.calls()) == 40
        until(lambda: recycled(server) == 5)
        assert_no_fault(server)

    @pytest.mark.parametrize("text", ["wornrefuse this", "worngate for a client that leaves"])
    def test_a_call_that_made_no_sound_counts_too(self, start_server: StartServer, text: str) -> None:
        server = start_server(engine=ELASTIC)
        with server.client(KEY, timeout=1.0) as client, contextlib.suppress(httpx.ReadTimeout):
            assert client.post("/generate", json={"text": text}).status_code == 400
        assert server.generate("all is well").status_code == 200
        assert recycled(server) == 1
        assert_no_fault(server)

    def test_a_wear_that_cannot_be_told_is_wear(self, start_server: StartServer) -> None:
        server = start_server(engine=ELASTIC)
        (server.control / "broken").touch()
        assert server.generate("one").status_code == 200
        assert server.generate("two").status_code == 200
        assert [line["reason"] for line in server.log("engine_recycled")] == ["its wear cannot be told: RuntimeError"]
        assert_no_fault(server)

    def test_a_fault_is_a_fault(self, start_server: StartServer) -> None:
        server = start_server(engine=ELASTIC)
        assert server.generate("wornfail").status_code == 503
        assert server.generate("all is well").status_code == 200
        assert (recycled(server), server.metric(RESTARTS.format("fault"))) == (0, 2)

    def test_a_fresh_process_that_does_not_load_is_a_fault(self, start_server: StartServer) -> None:
        server = start_server(engine=ELASTIC)
        (server.control / "unloadable").touch()
        assert server.generate("worn out").status_code == 200
        until(lambda: server.probe().status_code == 503)
        assert server.probe().json()["error"]["code"] == "engine_failed"
        (server.control / "unloadable").unlink()
        until(server.is_ready)


class TestEnvironment:
    def test_the_engine_knows_the_servers_folder(self, start_server: StartServer) -> None:
        server = start_server(engine=ELASTIC)
        server.generate("where")
        assert server.called("where")[0]["work_dir"] == str(server.folder / "work")

    def test_also_when_it_is_a_temporary_one(self, start_server: StartServer) -> None:
        server = start_server(engine=ELASTIC, wrapper=("env", "-u", "SPEECH_WORK_DIR"))
        server.generate("where")
        folder = Path(server.called("where")[0]["work_dir"])
        assert folder.name.startswith("speech-server-")
        assert folder.is_dir()
