"""The engine behind the server, as an operator starts it: real processes, because what is asked is whether settings,
lengths and the end of a worn process get through. The stand-ins are on its path in place of torch and the model.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.inference.indextts2.material import PACKAGES, sample, write_weights
from tests.inference.server.running_server import ROOT, RunningServer, until

PATH = os.pathsep.join([str(PACKAGES), str(ROOT / "inference"), str(ROOT)])
TEXT = "今天天气不错，我们去公园玩吧。"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """It takes over a fresh process after every second call."""
    folder = tmp_path_factory.mktemp("server")
    write_weights(folder / "weights", "2.5")
    (folder / "voices").mkdir()
    (folder / "voices" / "default.wav").write_bytes(sample(200))
    running = RunningServer(
        folder,
        wrapper=("env", f"PYTHONPATH={PATH}"),
        engine="indextts2",
        engine_weights=folder / "weights",
        engine_voices=folder / "voices",
        engine_recycle_calls=2,
    )
    yield running
    running.kill()


class TestServer:
    def test_a_ratio_is_made_by_the_model(self, server: RunningServer) -> None:
        plain = server.generate(TEXT, seed=1)
        fast = server.generate(TEXT, seed=1, duration_ratio=1.25)
        assert (plain.status_code, fast.status_code) == (200, 200), (plain.text, fast.text)
        assert plain.headers["x-engine"] == "indextts2/2.5"
        natural, final = (float(fast.headers[f"x-{name}-seconds"]) for name in ("natural", "audio"))
        assert final == pytest.approx(natural / 1.25, abs=0.001)
        assert natural == pytest.approx(float(plain.headers["x-audio-seconds"]), rel=0.05)
        assert "x-speech-warnings" not in fast.headers

    def test_a_target_is_met(self, server: RunningServer) -> None:
        natural = float(server.generate(TEXT, seed=1).headers["x-audio-seconds"])
        target = round(natural * 1.5, 3)
        answer = server.generate(TEXT, seed=1, target_seconds=target)
        assert float(answer.headers["x-audio-seconds"]) == pytest.approx(target, abs=0.001)

    def test_no_call_fails_while_worn_processes_are_replaced(self, server: RunningServer) -> None:
        before = len(server.log("engine_recycled"))
        assert [server.generate(TEXT, seed=seed).status_code for seed in range(100, 105)] == [200] * 5
        until(lambda: len(server.log("engine_recycled")) - before in (2, 3))
        assert all(line["reason"] == "2 calls, the limit is 2" for line in server.log("engine_recycled"))
        assert not server.log("engine_ended")

    def test_a_language_that_it_does_not_speak(self, server: RunningServer) -> None:
        answer = server.generate(TEXT, language="ko")
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "language_unsupported"
        assert answer.json()["error"]["message"] == "language: indextts2 2.5 speaks zh, en, ja, es, ar, not 'ko'"

    def test_its_samples_are_in_the_servers_folder(self, server: RunningServer) -> None:
        assert (server.folder / "work" / "engine-samples" / "warm-up.wav").exists()

    def test_the_first_segment_is_sent_before_the_last(self, server: RunningServer) -> None:
        text = "\n\n".join(["第一段在这里开始，有一些话要说。", "这是第二段的内容。", "第三段，再见。"])
        body = {"input": text, "model": "tts-1", "voice": "default", "response_format": "wav", "seed": 5}
        with server.client() as client, client.stream("POST", "/v1/audio/speech", json=body) as answer:
            pieces = list(answer.iter_raw())
        assert answer.headers.get("transfer-encoding") == "chunked"
        whole = server.generate(text, seed=5).content
        assert b"".join(pieces)[44:] == whole[44:]
