"""Machines that cannot run the server, told by the server's log and /readyz and by `indextts2 node check`.

Real processes, with the stand-ins for torch, the model and NVIDIA's library on their path: what is asked is whether the
reason and its remedy get to whoever looks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.inference.indextts2.material import PACKAGES, write_weights
from tests.inference.node.test_clouds import store_at
from tests.inference.server.running_server import ROOT, RunningServer, until

PATH = os.pathsep.join([str(PACKAGES), str(ROOT / "inference"), str(ROOT)])
Start = Callable[..., RunningServer]


@pytest.fixture
def start(tmp_path: Path) -> Generator[Start]:
    """`start({"STAND_IN_NVML": "none"}, engine_precision="fp32")`"""
    started: list[RunningServer] = []

    def one(variables: dict[str, str], **settings: object) -> RunningServer:
        wrapper = ("env", f"PYTHONPATH={PATH}", *(f"{name}={value}" for name, value in variables.items()))
        started.append(RunningServer(tmp_path, wrapper, ready=False, **settings))
        return started[-1]

    yield one
    for server in started:
        server.kill()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    write_weights(tmp_path / "weights", "2.5")
    return tmp_path / "weights"


def node_check(**settings: object) -> subprocess.CompletedProcess[str]:
    variables = {name.upper(): str(value) for name, value in settings.items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPEECH_")}
    command = [sys.executable, "-m", "speech_server.node", "check"]
    environment |= {"PYTHONPATH": PATH, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


class TestTheServer:
    def test_without_a_gpu_the_last_line_and_readyz_say_what_to_do(self, start: Start, weights: Path) -> None:
        server = start({"STAND_IN_NVML": "none"}, engine="indextts2", engine_weights=weights)
        until(lambda: server.log("engine_ended"), 60)
        last = server.log("engine_ended")[-1]
        assert "PreflightError: no GPU is visible" in last["reason"]
        assert "--gpus all" in last["reason"]
        until(lambda: server.probe().json()["error"]["code"] == "engine_failed")
        probe = server.probe()
        assert probe.status_code == 503
        assert "no GPU is visible" in probe.json()["error"]["message"]
        assert "SPEECH_ENGINE_DEVICE=cpu" in probe.json()["error"]["message"]

    def test_a_clock_that_is_wrong_is_told_and_speech_goes_on(self, start: Start) -> None:
        keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
        with store_at(-61) as url:
            server = start(keys, store=f"s3://bucket?region=us-west-2&endpoint={url}", log_objects="false")
            until(server.is_ready, 60)
            until(lambda: server.log("preflight_problem"))
            ready = until(lambda: server.probe().json() if "problems" in server.probe().json() else None)
            assert ready["status"] == "degraded"
            assert "clock is 61 minutes ahead of 127.0.0.1" in ready["problems"][0]
            assert "chronyc" in ready["problems"][0]
            assert server.generate("all the same").status_code == 200


class TestTheCommand:
    def test_it_says_what_is_wrong(self, weights: Path, tmp_path: Path) -> None:
        keys = {"speech_api_keys_file": tmp_path / "keys.json", "speech_engine": "indextts2"}
        checked = node_check(**keys, speech_engine_weights=weights, speech_work_dir=tmp_path, stand_in_nvml="unloaded")
        assert checked.returncode == 1, checked.stderr
        assert "problem: the NVIDIA driver is not loaded: run nvidia-smi" in checked.stderr
        assert checked.stderr.splitlines()[-1] == "check: 1 problem(s): the NVIDIA driver is not loaded"

    def test_wrong_and_truncated_weights(self, weights: Path, tmp_path: Path) -> None:
        (weights / "gpt.pth").write_bytes(b"PK\x03\x04 and no end")
        (weights / "feat1.pt").unlink()
        (weights / "config.yaml").write_text("version: 2.0\n")
        keys = {"speech_api_keys_file": tmp_path / "keys.json", "speech_engine": "indextts2"}
        checked = node_check(**keys, speech_engine_weights=weights, speech_work_dir=tmp_path)
        assert checked.returncode == 1
        for what in ("config.yaml says version 2.0", "feat1.pt is missing", "gpt.pth in", "ended too early"):
            assert what in checked.stderr

    def test_a_machine_that_can(self, weights: Path, tmp_path: Path) -> None:
        keys = {"speech_api_keys_file": tmp_path / "keys.json", "speech_engine": "indextts2"}
        checked = node_check(**keys, speech_engine_weights=weights, speech_work_dir=tmp_path)
        assert (checked.returncode, checked.stderr) == (0, "check: this machine can run the server\n")

    def test_settings_that_are_wrong_are_those_of_the_server(self) -> None:
        checked = node_check(speech_engine="indextts2", speech_colour="blue")
        assert checked.returncode == 78
        assert "SPEECH_COLOUR: there is no such setting" in checked.stderr
