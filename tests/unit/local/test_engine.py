"""The `indextts2` engine on this machine: settings, what servers are told, what stands in the way, fetched weights."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from components.local import engine, engine_checks
from components.local.engine_checks import WEIGHTS_SIZE, EngineFacts, problems
from components.local.machine import engine_packages, gpus
from components.local.machine.engine_packages import Packages
from components.local.machine.errors import MachineError
from components.local.machine.gpus import Gpu
from components.local.machine.layout import PROJECT_ROOT, Layout
from components.local.resources.weights import WHOLE, WeightsProvider
from components.settings import SettingsError, load
from speech_server.cli import main
from tests.engine.engine_environment import make_interpreter
from tests.inference.indextts2.material import write_weights

T4 = Gpu("Tesla T4", "535.183.01", 15360)
WELL = EngineFacts(
    packages=Packages((), 12, None, largest_weights=33 * 10**8, all_weights=9 * 10**9),
    gpus=(T4, T4),
    memory=32 * 10**9,
    free_disk=100 * 10**9,
)


def settings(engine_values=None, weights=None, **values):
    config = {
        "engine": json.dumps({"name": "indextts2", **(engine_values or {})}),
        "weights": json.dumps({"folder": "/srv/weights"} if weights is None else weights),
        **values,
    }
    return load("local", {f"indextts2:{key}": value for key, value in config.items()})


def refused(*arguments, **values):
    with pytest.raises(SettingsError) as caught:
        settings(*arguments, **values)
    return "\n".join(caught.value.problems)


def found(facts, **values):
    values.setdefault("weights", {"store": "s3://weights?region=us-west-2"})
    return "\n".join(problems(settings(**values), Layout(Path("/nowhere")), facts))


class TestSettings:
    def test_one_server_drives_all_gpus(self):
        assert settings().replicas == 1
        assert settings(replicas="1").replicas == 1
        assert "replicas: 2: with indextts2 one server drives every GPU" in refused(replicas="2")

    @pytest.mark.parametrize(
        ("weights", "words"),
        [
            ({}, "nothing is given; indextts2 wants one of folder"),
            ({"source": "none"}, "source is given; indextts2 wants one of folder"),
            ({"folder": "/a", "store": "file:///b"}, "folder and store is given"),
            ({"folder": "/a", "name": "b"}, "name is of no use with folder"),
            ({"store": "file:///b", "endpoint": "https://mirror.example"}, "endpoint is of no use with store"),
            ({"store": "https://bucket"}, "is no store; write s3://BUCKET"),
            ({"store": "s3://bucket;rm"}, "is no store; write s3://BUCKET"),
        ],
    )
    def test_weights_come_from_one_place(self, weights, words):
        assert words in refused(weights=weights)

    @pytest.mark.parametrize("device", ["gpu", "cuda", "cuda:", "cuda:-1", "cuda:١", "cpu\n"])
    def test_a_device_that_is_none(self, device):
        assert "is no device; write cpu or cuda:N" in refused({"device": device})

    @pytest.mark.parametrize("key", ["device", "python", "voices"])
    def test_espeak_has_none_of_it(self, key):
        with pytest.raises(SettingsError, match=f"engine.{key}: 'cpu': is of no use with engine.name espeak"):
            load("local", {"indextts2:engine": json.dumps({key: "cpu"})})
        with pytest.raises(SettingsError, match="folder: the engine espeak has no weights"):
            load("local", {"indextts2:weights": '{"folder": "/srv/weights"}'})


class TestWhatServersAreTold:
    def test_all_that_is_set_and_nothing_else(self):
        layout = Layout(Path("/srv/data"))
        assert engine.environment(settings(), layout) == {
            "SPEECH_ENGINE": "indextts2",
            "SPEECH_ENGINE_VERSION": "2.5",
            "SPEECH_ENGINE_WEIGHTS": "/srv/weights",
            "XDG_CACHE_HOME": "/srv/data/cache",
        }
        small = {
            "version": "2",
            "precision": "fp16",
            "lowMemory": True,
            "device": "cuda:1",
            "voices": "voices",
            "idleUnloadMinutes": 30,
        }
        told = engine.environment(settings(small), layout)
        assert told["SPEECH_ENGINE_VERSION"] == "2"
        assert told["SPEECH_ENGINE_PRECISION"] == "fp16"
        assert told["SPEECH_ENGINE_LOW_MEMORY"] == "true"
        assert told["SPEECH_DEVICES"] == "1"
        assert "SPEECH_ENGINE_DEVICE" not in told
        assert engine.environment(settings({"device": "cpu"}), layout)["SPEECH_ENGINE_DEVICE"] == "cpu"
        assert told["SPEECH_IDLE_UNLOAD_MINUTES"] == "30"
        assert told["SPEECH_ENGINE_VOICES"] == str(PROJECT_ROOT / "voices")

    def test_espeaks_servers_know_nothing_of_weights(self):
        assert engine.environment(load("local", {}), Layout(Path("/srv/data"))) == {"SPEECH_ENGINE": "espeak"}

    def test_fetched_weights_lie_in_the_stacks_own_folder(self):
        layout = Layout(Path("/srv/data"))
        told = engine.environment(settings(weights={"store": "s3://b-u?region=r"}), layout)
        assert told["SPEECH_ENGINE_WEIGHTS"] == "/srv/data/weights/indextts-2.5"

    @pytest.mark.parametrize(
        ("weights", "url"),
        [
            ({"store": "s3://bucket?region=us-west-2"}, "s3://bucket/weights/indextts-2.5?region=us-west-2"),
            ({"store": "file:///srv/store/", "name": "mine"}, "file:///srv/store/weights/mine"),
            ({"source": "hf://IndexTeam/IndexTTS-2.5@main"}, "hf://IndexTeam/IndexTTS-2.5@main"),
            (
                {"source": "hf://IndexTeam/IndexTTS-2.5@main", "endpoint": "https://mirror.example"},
                "hf://IndexTeam/IndexTTS-2.5@main?endpoint=https://mirror.example",
            ),
        ],
    )
    def test_where_they_are_fetched_from(self, weights, url):
        assert engine.weights_url(settings(weights=weights)) == url


class TestGpus:
    def answering(self, folder, body):
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return {"PATH": str(folder)}

    def test_what_the_driver_says(self, tmp_path):
        body = "echo 'NVIDIA A10G, 535.183.01, 23028'; echo 'NVIDIA H100, 80GB, 535.183.01, 81559'"
        assert gpus.installed(self.answering(tmp_path, body)) == (
            Gpu("NVIDIA A10G", "535.183.01", 23028),
            Gpu("NVIDIA H100, 80GB", "535.183.01", 81559),
        )

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ("echo 'No devices were found'", "shows no GPU (nvidia-smi: No devices were found)"),
            ("echo 'NVIDIA-SMI has failed'; exit 9", "shows no GPU (nvidia-smi: NVIDIA-SMI has failed)"),
            ("printf '\\033[31mred'", "(nvidia-smi: ?[31mred)"),
            ("exit 12", "(nvidia-smi: nothing)"),
            ("echo 'A, x, 5'", "(nvidia-smi: A, x, 5)"),
        ],
    )
    def test_a_driver_that_shows_none(self, tmp_path, body, words):
        assert words in gpus.installed(self.answering(tmp_path, body))

    def test_no_driver_and_hidden_gpus(self, tmp_path):
        assert "no NVIDIA driver: nvidia-smi is not on PATH" in gpus.installed({"PATH": str(tmp_path)})
        assert "CUDA_VISIBLE_DEVICES hides every GPU" in gpus.installed({"CUDA_VISIBLE_DEVICES": ""})

    @pytest.mark.parametrize(
        ("driver", "cuda", "old"),
        [
            ("450.80.02", 11, False),
            ("470.1", 12, True),
            ("525.60.13", 12, False),
            ("535.9", 13, True),
            ("9.9", 99, False),
        ],
    )
    def test_drivers_too_old_for_cuda(self, driver, cuda, old):
        assert (gpus.driver_problem((replace(T4, driver=driver),), cuda) is not None) is old


class TestProblems:
    def test_a_machine_that_has_what_it_takes(self):
        assert found(WELL) == ""

    @pytest.mark.parametrize(
        ("facts", "words"),
        [
            (
                {"packages": "/x does not exist"},
                "engine.python: (of make engine): /x does not exist; run `make engine`",
            ),
            ({"packages": Packages(("torch",), None, None)}, "engine.python: (of make engine): lacks torch; run `make"),
            ({"gpus": "no NVIDIA driver"}, "engine.device: (every GPU): no NVIDIA driver, or, for trying only"),
            ({"gpus": (replace(T4, driver="470.57"),)}, "the NVIDIA driver 470.57 is too old for CUDA 12; install 525"),
            ({"memory": 8 * 10**9}, "this machine has 8.0 GB of memory, and to load the weights takes about 8.7"),
            ({"free_disk": WEIGHTS_SIZE - 1}, "dataDir: '.local/data/local': 9.0 GB are free, and the weights take"),
        ],
    )
    def test_what_is_lacking_is_named_with_its_remedy(self, facts, words):
        assert words in found(replace(WELL, **facts))

    def test_no_index_has_version_2(self):
        facts = replace(WELL, packages=Packages(("index-tts",), None, None))
        assert "lacks index-tts; no package index has index-tts" in found(facts, engine_values={"version": "2"})

    def test_a_gpu_that_is_not_there(self):
        assert "there are 2 GPUs, counted from cuda:0" in found(WELL, engine_values={"device": "cuda:2"})
        assert found(WELL, engine_values={"device": "cuda:1"}) == ""

    def test_on_the_cpu_nobody_asks_for_a_driver_and_all_weights_stay_in_memory(self):
        facts = replace(WELL, gpus=(), memory=12 * 10**9)
        assert "takes about 14.4" in found(facts, engine_values={"device": "cpu"})

    def test_grammars_are_compiled_with_the_first_load_whatever_the_weights(self):
        facts = replace(WELL, packages=Packages((), 12, None), memory=4 * 10**9)
        assert "has 4.0 GB of memory, and to load the weights takes about 6.0" in found(facts)

    def test_weights_that_would_not_load(self, tmp_path):
        facts = replace(WELL, packages=Packages((), 12, "gpt.pth is missing"))
        assert f"weights.folder: '{tmp_path}': gpt.pth is missing" in found(facts, weights={"folder": str(tmp_path)})
        assert "is no folder that this user can see" in found(facts, weights={"folder": "/nowhere/at/all"})
        assert "engine.voices: '/nowhere': /nowhere is no folder" in found(WELL, engine_values={"voices": "/nowhere"})

    def test_a_default_voice_is_a_file_of_that_name(self, tmp_path):
        assert not engine_checks.has_default_voice(settings())
        assert not engine_checks.has_default_voice(settings({"voices": str(tmp_path)}))
        (tmp_path / "default.wav").touch()
        assert engine_checks.has_default_voice(settings({"voices": str(tmp_path)}))

    def test_everything_is_told_at_once(self):
        facts = EngineFacts("/x does not exist", "no driver", 0, 0)
        assert len(problems(settings(weights={"store": "file:///b"}), Layout(Path("/nowhere")), facts)) == 3


class TestLook:
    @pytest.fixture
    def folder(self, tmp_path):
        write_weights(tmp_path / "weights", "2.5")
        return tmp_path / "weights"

    def test_an_interpreter_with_everything(self, tmp_path, folder):
        python = make_interpreter(tmp_path / "venv", cuda="12.8.90")
        # What the engine itself reads: the text-emotion model is an extra.
        sizes = [one.stat().st_size for one in folder.rglob("*") if one.is_file() and "qwen" not in str(one)]
        assert engine_packages.ask(python, "2.5", folder) == Packages((), 12, None, max(sizes), sum(sizes))
        assert "codec.pth is missing" in engine_packages.ask(python, "2.5", tmp_path).weights
        assert "config.yaml says version 2.5" in engine_packages.ask(python, "2", folder).weights

    def test_one_without_packages(self, tmp_path, folder):
        python = make_interpreter(tmp_path / "venv", stand_ins=False)
        asked = engine_packages.ask(python, "2", folder)
        assert asked.missing == ("torch", "transformers", "index-tts")

    @pytest.mark.parametrize("body", ["exit 1", "echo nonsense", "echo '{}'", "echo '[1]'"])
    def test_one_that_is_no_python(self, tmp_path, body):
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        assert "is no Python that can be asked" in engine_packages.ask(program, "2.5", tmp_path)
        program.chmod(0o644)
        assert "does not run" in engine_packages.ask(program, "2.5", tmp_path)

    def test_the_whole_machine_is_asked_and_nothing_is_made(self, tmp_path):
        layout = Layout(tmp_path / "data")
        facts = engine_checks.look(settings({"device": "cpu", "python": str(tmp_path / "none")}), layout)
        assert facts.packages == f"{tmp_path}/none does not exist"
        assert facts.memory > 0
        assert facts.free_disk > 0
        assert not layout.data.exists()


class TestFetchedWeights:
    """By the real `indextts2 weights pull`, from a store that is a folder."""

    @pytest.fixture
    def inputs(self, tmp_path):
        folder = tmp_path / "store" / "weights" / "mine"
        write_weights(folder, "2.5")
        return {
            "dataDir": str(tmp_path / "data"),
            "folder": str(tmp_path / "data" / "weights" / "mine"),
            "python": sys.executable,
            "version": "2.5",
            "url": f"file://{tmp_path}/store/weights/mine",
        }

    def pushed(self, inputs, tmp_path):
        assert main(["weights", "push", str(tmp_path / "store" / "weights" / "mine"), inputs["url"]]) == 0

    def test_they_are_brought_kept_mended_and_removed(self, inputs, tmp_path, capsys):
        self.pushed(inputs, tmp_path)
        provider = WeightsProvider()
        created = provider.create(inputs)
        folder = Path(inputs["folder"])
        assert created.outs["state"] == WHOLE
        assert (folder / "gpt.pth").read_bytes() == b"weights"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not provider.diff(created.id, created.outs, inputs).changes

        (folder / "gpt.pth").unlink()
        drifted = provider.read(created.id, created.outs).outs
        assert "gpt.pth is missing" in drifted["state"]
        assert provider.diff(created.id, drifted, inputs).changes
        provider.update(created.id, drifted, inputs)
        assert provider.read(created.id, created.outs).outs["state"] == WHOLE

        assert provider.diff(created.id, created.outs, {**inputs, "folder": "/elsewhere"}).replaces == ["folder"]
        provider.delete(created.id, created.outs)
        assert not (tmp_path / "data").exists()

    def test_what_cannot_be_fetched_is_told_in_the_programs_own_words(self, inputs, tmp_path):
        inputs["url"] = f"file://{tmp_path}/nothing/weights/mine"
        with pytest.raises(MachineError, match=r"(?s)indextts2:weights: file://.*could not be fetched.*manifest\.json"):
            WeightsProvider().create(inputs)
