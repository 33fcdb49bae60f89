"""The local stack with the `indextts2` engine, by the real Pulumi engine and real processes.

No GPU and no model: the engine's packages are strict stand-ins, and the CPU is named as the device.
"""

from __future__ import annotations

import base64
import shutil

import pytest

from speech_server.cli import main
from tests.engine.engine_environment import make_interpreter
from tests.engine.stack import LocalStack
from tests.inference.indextts2.material import sample, write_weights

pytestmark = pytest.mark.engine
TEXT = "今天天气不错，我们去公园玩吧。"


@pytest.fixture(scope="module")
def machine(fresh: LocalStack) -> LocalStack:
    """A stack that wants the engine, on a machine that has what it takes; the weights are in a store."""
    write_weights(fresh.directory / "weights", "2.5")
    store = f"file://{fresh.directory}/store"
    assert main(["weights", "push", str(fresh.directory / "weights"), f"{store}/weights/indextts-2.5"]) == 0
    (fresh.directory / "voices").mkdir()
    (fresh.directory / "voices" / "default.wav").write_bytes(sample(200))
    fresh.configure(
        engine__name="indextts2",
        engine__device="cpu",
        engine__python=str(make_interpreter(fresh.directory / "engine")),
        engine__voices=str(fresh.directory / "voices"),
        weights__store=store,
    )
    return fresh


class TestUp:
    def test_it_speaks_with_its_own_voice_and_with_a_callers(self, machine: LocalStack) -> None:
        machine.up()
        with machine.client() as client:
            own = client.post("/generate", json={"text": TEXT})
            callers = client.post(
                "/generate", json={"text": TEXT, "reference_audio": base64.b64encode(sample(300)).decode()}
            )
        for answer in (own, callers):
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-engine"] == "indextts2/2.5"
        assert own.content != callers.content

    def test_one_server_runs_on_the_stacks_own_copy_of_the_weights(self, machine: LocalStack) -> None:
        (server,) = [one for one in machine.processes() if "serve" in one.cmdline()]
        assert server.environ()["SPEECH_ENGINE_WEIGHTS"] == str(machine.data / "weights" / "indextts-2.5")
        assert server.environ()["XDG_CACHE_HOME"] == str(machine.data / "cache")


class TestPreview:
    def test_a_lost_file_a_missing_driver_and_missing_packages_are_told_before_anything_changes(
        self, machine: LocalStack
    ) -> None:
        bare = make_interpreter(machine.directory / "bare", stand_ins=False)
        (machine.directory / "weights" / "codec.pth").unlink()
        before = {process.pid for process in machine.processes()}
        folder = str(machine.directory / "weights")
        machine.configure(engine__device="cuda:0", engine__python=str(bare), weights__folder=folder, weights__store="")
        text = machine.preview(check=False)

        assert f"indextts2:engine.python: {bare}: lacks torch, transformers, indextts25-inference; run `make" in text
        assert f"indextts2:weights.folder: '{folder}': the weights in {folder} cannot be loaded" in text
        assert "codec.pth is missing" in text
        # a machine with a driver has nothing to say of it
        assert ("indextts2:engine.device: cuda:0: no NVIDIA driver" in text) == (shutil.which("nvidia-smi") is None)
        assert "Traceback" not in text
        assert {process.pid for process in machine.processes()} == before


class TestDown:
    def test_the_copy_goes_and_what_is_the_operators_stays(self, machine: LocalStack) -> None:
        machine.destroy()
        assert not machine.processes()
        assert not (machine.data / "weights").exists()
        assert not (machine.data / "cache").exists()
        assert (machine.directory / "store" / "weights" / "indextts-2.5" / "gpt.pth").exists()
        assert (machine.directory / "voices" / "default.wav").exists()
