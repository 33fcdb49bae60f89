"""`sync-weights` as a node runs it: from an empty bucket to a folder that a server loads."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speech_server.engines.indextts2.weights import check_weights
from speech_server.node.sync_weights import run
from speech_server.weights.claim import newest
from speech_server.weights.failure import Exit
from tests.inference.weights.material import contents, place_at

COMMAND = [
    sys.executable,
    "-c",
    "import os, sys; from speech_server.node.sync_weights import run; sys.exit(run(os.environ))",
]
INFERENCE = str(Path(__file__).parents[3] / "inference")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def settings(store: Path, folder: Path, source: str = "") -> dict[str, str]:
    return {
        "SPEECH_STORE": store.as_uri(),
        "SPEECH_WEIGHTS": "set",
        "SPEECH_WEIGHTS_DIR": str(folder),
        "SPEECH_WEIGHTS_SOURCE": source,
    }


class TestSync:
    def test_from_the_bucket(self, made, tmp_path, capsys):
        assert run(settings(made[1], tmp_path)) == Exit.DONE
        told = capsys.readouterr().out
        assert told.startswith(
            f"sync-weights: {tmp_path} holds weights/set/, version 2.5, verified: 18 files, 0.02 GB, in "
        )
        assert told.count("\n") == 1
        assert contents(tmp_path) == contents(made[0])

    def test_an_empty_bucket_is_filled_from_the_hub(self, hubs, tmp_path):
        hub = hubs()
        source = f"hf://IndexTeam/IndexTTS-2.5?endpoint={hub.url}"
        assert run(settings(tmp_path / "store", tmp_path / "a", source)) == Exit.DONE
        asked = len(hub.requests)
        assert run(settings(tmp_path / "store", tmp_path / "b", source)) == Exit.DONE
        assert len(hub.requests) == asked
        assert contents(tmp_path / "a") == contents(tmp_path / "b")
        check_weights(tmp_path / "b", "2.5")

    def test_two_nodes_at_once_fill_it_once(self, hubs, tmp_path):
        hub = hubs()
        source = f"hf://IndexTeam/IndexTTS-2.5?endpoint={hub.url}"
        nodes = [
            subprocess.Popen(
                COMMAND,
                env={**os.environ, "PYTHONPATH": INFERENCE, **settings(tmp_path / "store", tmp_path / name, source)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name in ("a", "b")
        ]
        said = [node.communicate(timeout=120) for node in nodes]
        assert [node.returncode for node in nodes] == [0, 0], said
        assert len(hub.file_requests) == len(set(hub.file_requests))
        for name in ("a", "b"):
            check_weights(tmp_path / name, "2.5")
        place = place_at(tmp_path / "store")
        assert newest(place)[0] == 1
        place.close()


class TestFailures:
    def test_an_empty_bucket_and_no_hub(self, tmp_path, capsys):
        assert run(settings(tmp_path / "store", tmp_path / "w")) == Exit.ABSENT
        assert "SPEECH_WEIGHTS_SOURCE names no hub" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"SPEECH_STORE": ""}, "not set: SPEECH_STORE"),
            ({"SPEECH_STORE": "http://x"}, "no such kind of store"),
            ({"SPEECH_WEIGHTS": "../up"}, "SPEECH_WEIGHTS: "),
            ({"SPEECH_WEIGHTS_DIR": "relative"}, "SPEECH_WEIGHTS_DIR is 'relative'"),
            ({"SPEECH_WEIGHTS_SOURCE": "https://x"}, "SPEECH_WEIGHTS_SOURCE: "),
        ],
    )
    def test_settings(self, made, tmp_path, capsys, change, named):
        assert run({**settings(made[1], tmp_path), **change}) == Exit.SETTINGS
        assert named in capsys.readouterr().err

    def test_one_that_is_terminated_gives_its_claim_back(self, hubs, tmp_path):
        hub = hubs()
        hub.failures += [503] * 1000
        source = f"hf://IndexTeam/IndexTTS-2.5?endpoint={hub.url}"
        environment = {**os.environ, "PYTHONPATH": INFERENCE, **settings(tmp_path / "store", tmp_path / "w", source)}
        node = subprocess.Popen(COMMAND, env=environment, stderr=subprocess.PIPE, text=True)
        while not hub.requests:
            assert node.poll() is None
            time.sleep(0.01)
        node.terminate()
        said = node.communicate(timeout=60)[1]
        assert node.returncode == 143, said
        assert "terminated; what is on the disk is kept" in said
        place = place_at(tmp_path / "store")
        claim = newest(place)[1]
        place.close()
        assert claim is not None
        assert not claim.held

    def test_a_failed_fill_leaves_the_bucket_to_the_next_one(self, hubs, tmp_path, capsys):
        hub = hubs()
        hub.sent["gpt.pth"] = b"x" * 2_500_000
        source = f"hf://IndexTeam/IndexTTS-2.5?endpoint={hub.url}"
        assert run(settings(tmp_path / "store", tmp_path / "w", source)) == Exit.CONTENT
        assert "gpt.pth" in capsys.readouterr().err
        hub.sent.clear()
        assert run(settings(tmp_path / "store", tmp_path / "w", source)) == Exit.DONE
        check_weights(tmp_path / "w", "2.5")
