"""Limits, fair share, usage and figures of clients on a running server."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest

from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import KEY, OTHER_KEY, RunningServer, until

ADMIN_KEY = "key-of-the-administrator"


def write_keys(folder: Path, **first: object) -> None:
    keys = {"first": {"key": KEY, **first}, "other": OTHER_KEY, "boss": {"key": ADMIN_KEY, "admin": True}}
    (folder / "keys.json").touch(mode=0o600)
    (folder / "keys.json").write_text(json.dumps(keys))


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert 1 <= int(answer.headers["retry-after"]) <= 120
    return answer.status_code, answer.json()["error"]["code"]


class TestLimits:
    def test_requests_at_once(self, start_server: StartServer, tmp_path: Path) -> None:
        write_keys(tmp_path, concurrency=1)
        server = start_server()
        with ThreadPoolExecutor(2) as pool:
            running = pool.submit(server.generate, "gate one")
            until(lambda: server.called("gate one"))
            assert refusal(server.generate("one more")) == (429, "concurrency_limit")
            others = pool.submit(server.generate, "of another client", OTHER_KEY)
            until(lambda: server.metric("speech_lane_depth") == 1)
            server.open_gate("one")
            assert [one.result(60).status_code for one in (running, others)] == [200, 200]
        assert server.generate("one more").status_code == 200
        assert server.metric('speech_requests_refused_total{code="concurrency_limit"}') == 1

    def test_speech_a_minute_is_counted_as_it_was_spoken_and_repetitions_are_free(
        self, start_server: StartServer, tmp_path: Path
    ) -> None:
        write_keys(tmp_path, audioSecondsPerMinute=2)
        server = start_server()
        text = "x" * 40  # 2.6 s as estimated, 2.0 s as this engine speaks it
        assert server.generate(text).status_code == 200
        assert refusal(server.generate("y" * 40)) == (429, "audio_limit")
        assert server.generate(text).headers["idempotent-replayed"] == "true"
        assert server.generate("y" * 40, OTHER_KEY).status_code == 200

    def test_what_failed_is_given_back(self, start_server: StartServer, tmp_path: Path) -> None:
        write_keys(tmp_path, audioSecondsPerMinute=1)
        server = start_server()
        for number in range(3):
            assert server.generate(f"refuse {number}").status_code == 400
        assert server.generate("spoken").status_code == 200

    def test_one_request_goes_before_the_rest_of_another_clients_many(self, start_server: StartServer) -> None:
        server = start_server()
        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(server.generate, "gate one")]
            until(lambda: server.called("gate one"))
            for number in range(5):
                running.append(pool.submit(server.generate, f"many {number}"))
                until(lambda number=number: server.metric("speech_lane_depth") == number + 1)
            running.append(pool.submit(server.generate, "few", OTHER_KEY))
            until(lambda: server.metric("speech_lane_depth") == 6)
            assert server.metric('speech_lane_queued_audio_seconds{priority="interactive"}') > 1
            server.open_gate("one")
            assert {one.result(60).status_code for one in running} == {200}
        assert [call["text"] for call in server.calls()].index("few") <= 2


class TestDeadlines:
    def test_a_text_that_cannot_be_spoken_in_time_is_sent_to_the_jobs(self, start_server: StartServer) -> None:
        server = start_server(reply_seconds=0.3, engine="tests.inference.server.slow_engine:SlowEngine")
        for number in range(4):
            assert server.generate(f"a{number}").status_code == 200
        answer = server.generate("b" * 200)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "text_needs_a_job", "text")
        assert "/v1/jobs" in error["message"]
        assert server.generate("still well").status_code == 200

    def test_an_answer_that_would_come_too_late_is_given_up(self, start_server: StartServer) -> None:
        server = start_server(reply_seconds=0.3)
        answer = server.generate("gate never")
        assert refusal(answer) == (503, "too_late")
        until(lambda: server.called("gate never", "cancelled"))
        assert server.generate("next").status_code == 200

    @pytest.mark.parametrize("name", ["X-Reply-Within", "x-stainless-read-timeout"])
    def test_a_client_says_how_long_it_waits(self, start_server: StartServer, name: str) -> None:
        server = start_server()
        with server.client() as client:
            answer = client.post("/generate", json={"text": "gate never"}, headers={name: "0.3"})
        assert refusal(answer) == (503, "too_late")
        assert "within 0.3 s" in answer.json()["error"]["message"]
        until(lambda: server.called("gate never", "cancelled"))
        assert server.generate("next").status_code == 200

    @pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "soon", ""])
    def test_a_time_that_is_none_is_refused(self, start_server: StartServer, given: str) -> None:
        server = start_server()
        with server.client() as client:
            answer = client.post("/generate", json={"text": "a"}, headers={"X-Reply-Within": given})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", "X-Reply-Within")

    @pytest.mark.parametrize("given", ["not given", "None", "1e9"])
    def test_what_a_library_says_of_its_own_patience_is_taken_or_left(
        self, start_server: StartServer, given: str
    ) -> None:
        server = start_server()
        with server.client() as client:
            answer = client.post("/generate", json={"text": "a"}, headers={"x-stainless-read-timeout": given})
        assert answer.status_code == 200


class TestFigures:
    def test_single_clients_are_told_to_administrators_only(self, start_server: StartServer, tmp_path: Path) -> None:
        write_keys(tmp_path)
        server = start_server()
        assert server.generate("twenty characters ok").status_code == 200
        with server.client() as client:
            text = client.get("/metrics").text
        assert "speech_client_" not in text
        assert "speech_time_to_first_audio_seconds_count 1.0" in text
        assert 'speech_lane_wait_seconds_count{kind="request"} 1.0' in text
        with server.client(ADMIN_KEY) as client:
            text = client.get("/metrics").text
        assert 'speech_client_audio_seconds_total{client="first",kind="request"} 1.0' in text

    def test_a_lack_of_memory_is_counted(self, start_server: StartServer) -> None:
        server = start_server()
        assert server.generate("memory").status_code == 503
        assert server.metric("speech_engine_out_of_memory_total") == 2

    def test_an_error_of_the_engine_carries_the_requests_id(self, start_server: StartServer) -> None:
        server = start_server()
        with server.client() as client:
            client.post("/generate", json={"text": "crash"}, headers={"X-Request-Id": "mine-1"})
        assert until(lambda: server.log("speech_failed"))[0]["request_id"] == "mine-1"


@pytest.fixture
def stored(start_server: StartServer, tmp_path: Path) -> RunningServer:
    write_keys(tmp_path)
    return start_server(store=f"file://{tmp_path}/store")


class TestUsage:
    def test_a_client_sees_its_own_and_an_administrator_all(self, stored: RunningServer) -> None:
        for key, text in [(KEY, "twenty characters ok"), (KEY, "twenty characters no"), (OTHER_KEY, "x" * 10)]:
            assert stored.generate(text, key).status_code == 200
        today = datetime.now(timezone.utc).date().isoformat()
        with stored.client() as client:
            own = client.get("/v1/usage").json()["data"]
        assert [(entry["client"], entry["clips"], entry["audio_seconds"]) for entry in own] == [("first", 2, 2.0)]
        assert (own[0]["date"], own[0]["kind"], own[0]["characters"]) == (today, "request", 40)
        with stored.client(ADMIN_KEY) as client:
            answer = client.get("/v1/usage", params={"from": today, "to": today})
        assert [entry["client"] for entry in answer.json()["data"]] == ["first", "other"]

    @pytest.mark.parametrize(
        "query", [{"from": "2026-01-02", "to": "2026-01-01"}, {"from": "2026-01-01", "to": "2026-02-01"}, {"to": "x"}]
    )
    def test_a_span_that_is_none(self, stored: RunningServer, query: dict[str, str]) -> None:
        with stored.client() as client:
            assert client.get("/v1/usage", params=query).status_code == 400

    def test_without_a_store_there_is_none(self, shared_server: RunningServer) -> None:
        with shared_server.client() as client:
            answer = client.get("/v1/usage")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_store")

    def test_what_was_counted_survives_the_end_of_the_server(
        self, start_server: StartServer, stored: RunningServer, tmp_path: Path
    ) -> None:
        assert stored.generate("twenty characters ok").status_code == 200
        stored.terminate()
        stored.probe()
        assert stored.process.wait(60) == 0
        logged = b"".join(gzip.decompress(file.read_bytes()) for file in (tmp_path / "store/logs").rglob("*.gz"))
        assert {json.loads(line)["event"] for line in logged.splitlines()} >= {"listening", "request", "draining"}
        again = start_server(store=f"file://{tmp_path}/store")
        with again.client() as client:
            assert client.get("/v1/usage").json()["data"][0]["audio_seconds"] == 1.0


class TestDegraded:
    def test_speech_goes_on_without_the_store(self, stored: RunningServer, tmp_path: Path) -> None:
        assert stored.probe().json() == {"status": "ready", "engine": "strict/1"}
        (tmp_path / "store").rename(tmp_path / "away")
        (tmp_path / "store").write_text("no folder")
        with stored.client() as client:
            until(lambda: client.get("/v1/usage").status_code == 503)
        found = until(lambda: (answer := stored.probe().json())["status"] == "degraded" and answer)
        assert datetime.fromisoformat(found["failing"]["store"].replace("Z", "+00:00")).tzinfo is not None
        assert stored.generate("goes on").status_code == 200
        (tmp_path / "store").unlink()
        (tmp_path / "away").rename(tmp_path / "store")
        with stored.client() as client:
            until(lambda: client.get("/v1/usage").status_code == 200)
        assert until(lambda: stored.probe().json()["status"] == "ready")
