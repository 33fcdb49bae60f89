"""Several engine processes in one server, and engines that end while nobody asks: real processes, because what is
asked is how they run beside each other, end and begin.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import RunningServer, until

READY = 'speech_engine_process_ready{{engine="{}"}}'
BUSY = 'speech_engine_process_busy{{engine="{}"}}'
RESTARTS = 'speech_engine_restarts_total{{reason="{}"}}'


def engines(server: RunningServer) -> list[str]:
    with server.client(None) as client:
        return client.get("/healthz").json()["engines"]


class TestSeveral:
    def test_they_speak_beside_each_other_and_one_goes_on_while_the_other_is_gone(
        self, start_server: StartServer
    ) -> None:
        server = start_server(engines=2)
        until(lambda: engines(server) == ["ready", "ready"])
        with ThreadPoolExecutor(3) as pool:
            first, second, third = (pool.submit(server.generate, f"gate {name}") for name in ("a", "b", "c"))
            until(lambda: len(server.calls()) == 2)
            until(lambda: server.metric("speech_lane_depth") == 1)
            assert [server.metric(BUSY.format(number)) for number in (0, 1)] == [1, 1]
            texts = {call["text"]: call["pid"] for call in server.calls()}
            assert len(set(texts.values())) == 2
            # one is killed in the middle of its call, and cannot come back
            (server.control / "fail_to_load").touch()
            victim = "gate a" if "gate a" in texts else "gate c"
            psutil.Process(texts[victim]).kill()
            until(lambda: "failed" in engines(server))
            assert server.probe().status_code == 200
            for name in ("a", "b", "c"):
                server.open_gate(name)
            answers = [answer.result(30) for answer in (first, second, third)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert sorted(server.metric(READY.format(number)) for number in (0, 1)) == [0, 1]
        # every answer after the kill is the other's
        left = (set(texts.values()) - {texts[victim]}).pop()
        assert {call["pid"] for call in server.calls()[2:]} == {left}
        (server.control / "fail_to_load").unlink()
        until(lambda: engines(server) == ["ready", "ready"])
        until(lambda: {line["number"] for line in server.log("engine_ready")} == {0, 1})

    def test_each_sees_its_own_gpu(self, start_server: StartServer) -> None:
        server = start_server(engines=3, devices="0,GPU-8932f937-d72c-4106-c12f-20bd9faed9f6")
        until(lambda: len(server.log("engine_ready")) == 3)
        seen = {line["number"]: _visible(line["pid"]) for line in server.log("engine_ready")}
        assert seen == {0: "0", 1: "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", 2: "0"}


class TestIdle:
    def test_an_idle_engine_ends_and_is_there_for_the_next_request_and_job(
        self, tmp_path: Path, start_server: StartServer
    ) -> None:
        (tmp_path / "store").mkdir()
        kept = {"store": f"file://{tmp_path / 'store'}", "queue": f"sqlite:///{tmp_path / 'queue.sqlite'}"}
        server = start_server(idle_unload_minutes=0.2 / 60, **kept)
        process = server.engine_process()
        until(lambda: engines(server) == ["unloaded"])
        until(lambda: not process.is_running())
        assert server.probe().status_code == 200
        assert server.metric("speech_engine_ready") == 0
        answer = server.generate("good morning")
        assert answer.status_code == 200
        (call,) = server.called("good morning")
        assert call["pid"] != process.pid
        # the wait for the process is not the engine's time
        (loaded,) = until(lambda: [line for line in server.log("engine_ready") if line["pid"] == call["pid"]])
        assert float(answer.headers["x-synthesis-seconds"]) < loaded["seconds"]
        until(lambda: engines(server) == ["unloaded"])
        with server.client() as client:
            job = client.post("/v1/jobs", json={"text": "by and by"}).json()["id"]
            until(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "succeeded")
        assert server.called("by and by")
        until(lambda: server.metric(RESTARTS.format("unloaded")) >= 3)
        assert server.metric(RESTARTS.format("fault")) == 0

    def test_who_cannot_wait_that_long_is_told_when_to_come_back(self, start_server: StartServer) -> None:
        server = start_server(idle_unload_minutes=0.2 / 60)
        until(lambda: engines(server) == ["unloaded"])
        with server.client() as client:
            headers = {"X-Reply-Within": "0.01"}
            began = time.monotonic()
            answer = client.post("/generate", json={"text": "quickly"}, headers=headers)
            took = time.monotonic() - began
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] in ("engine_unavailable", "too_late")
        assert 1 <= int(answer.headers["retry-after"]) <= 120
        assert took < 5
        assert server.called("quickly") == []
        # it was woken all the same: whoever comes back finds it, or wakes it again
        assert server.generate("quickly").status_code == 200

    def test_one_that_cannot_be_loaded_any_more_is_told(self, start_server: StartServer) -> None:
        server = start_server(idle_unload_minutes=0.2 / 60)
        until(lambda: engines(server) == ["unloaded"])
        (server.control / "fail_to_load").touch()
        assert server.generate("hello").status_code == 503
        until(lambda: server.probe().status_code == 503)
        assert engines(server) == ["failed"]
        (server.control / "fail_to_load").unlink()
        until(server.is_ready)


def _visible(pid: int) -> str | None:
    return psutil.Process(pid).environ().get("CUDA_VISIBLE_DEVICES")
