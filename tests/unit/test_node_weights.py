"""What a node runs to get the model's weights, as a process: with a stand-in for docker that records what it is asked.

A process, because what counts is what the shell does.
"""

import json
import os
import subprocess

import pytest

from components.node_scripts import SCRIPTS
from components.node_weights import may_fill, weights_environment
from components.settings import WeightsSettings
from tests.unit.engines import FILLED, NO_WEIGHTS, WEIGHTS
from tests.unit.node_machine import IMAGE, Machine

STORE = "s3://speech-objects?region=us-west-2"
RUNS = "$(grep -c '^docker run' $ANSWERS/calls)"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


class TestScript:
    def test_the_images_own_program_writes_one_folder_and_has_no_other_right(self, machine):
        assert machine.run("weights.sh").returncode == 0
        (run,) = machine.calls("docker run")
        assert run.endswith(f"--entrypoint python {IMAGE} -m speech_server.node sync-weights")
        for option in (
            "--read-only",
            "--cap-drop ALL",
            "--security-opt no-new-privileges",
            "--user 10001:10001",
            "--volume /fast/weights:/weights ",
            "--env-file /etc/indextts2/weights.env",
        ):
            assert option in run
        assert run.count("--volume") == 1
        assert "--gpus" not in run
        assert "--env NVIDIA_VISIBLE_DEVICES=void " in run, "nor by a runtime that gives every container the GPUs"
        assert "--privileged" not in run

    def test_what_an_interrupted_one_left_is_taken_away_first(self, machine):
        machine.run("weights.sh")
        assert machine.calls("docker")[0] == "docker rm -f weights"

    def test_what_fails_for_a_moment_is_tried_again(self, machine):
        machine.answer("docker", f"[[ $1 != run || {RUNS} -ge 3 ]]")
        assert machine.run("weights.sh").returncode == 0
        assert len(machine.calls("docker run")) == 3
        assert machine.calls("sleep") == ["sleep 5", "sleep 15"]

    def test_what_goes_on_failing_is_told_and_stops_the_server(self, machine):
        machine.answer(
            "docker", "[[ $1 != run ]] || { echo 'sync-weights: access denied: check the role' >&2; exit 77; }"
        )
        failed = machine.run("weights.sh")
        assert failed.returncode == 1
        assert failed.stderr.splitlines()[-1] == "sync-weights: access denied: check the role"
        assert len(machine.calls("docker run")) == 4

    def test_a_store_that_is_away_keeps_no_node_from_what_it_has(self, machine):
        machine.answer("docker", "[[ $1 != run ]]")
        (machine.root / "VERIFIED").write_text("{}")
        done = machine.run("weights.sh", WEIGHTS_DIR=str(machine.root))
        assert done.returncode == 0
        assert "those of this disk, verified before, are used" in done.stderr

    def test_the_note_that_it_looks_for_is_the_one_that_is_written(self):
        marker = pytest.importorskip("speech_server.weights.marker", reason="no server here")
        assert f"$WEIGHTS_DIR/{marker.NAME} " in SCRIPTS["weights.sh"].read_text()

    def test_an_image_of_their_own_is_pulled_first_and_does_the_same(self, machine):
        small = f"registry.example.com/speech@sha256:{'b' * 64}"
        machine.answer("docker", "[[ $1 != image ]]")
        assert machine.run("weights.sh", WEIGHTS_IMAGE=small).returncode == 0
        asked = machine.calls("docker")
        assert asked.index(f"docker pull --quiet {small}") < asked.index(machine.calls("docker run")[0])
        assert machine.calls("docker run")[0].endswith(
            f"--entrypoint python {small} -m speech_server.node sync-weights"
        )
        assert not any(IMAGE in call for call in asked)

    def test_a_registry_that_is_away_for_a_moment_is_asked_again(self, machine):
        machine.answer(
            "docker", "case $1 in image) exit 1;; pull) [[ $(grep -c '^docker pull' $ANSWERS/calls) -ge 3 ]];; esac"
        )
        assert machine.run("weights.sh", WEIGHTS_IMAGE="registry.example.com/small").returncode == 0
        assert len(machine.calls("docker run")) == 1

    def test_an_engine_without_weights_runs_nothing(self, machine):
        assert machine.run("weights.sh", WEIGHTS_DIR="").returncode == 0
        assert not machine.calls("docker")

    def test_the_server_is_told_how_long_it_took(self, machine):
        machine.run("weights.sh")
        assert json.loads((machine.root / "run/phases.json").read_text()).keys() == {"weights"}


class TestPhases:
    """How long each part of a node's start took, as the server reads it."""

    def note(self, root, *phases):
        for name, seconds in phases:
            subprocess.run(
                ["bash", str(SCRIPTS["phase.sh"]), name, seconds],
                env={"PATH": os.environ["PATH"], "RUN_DIR": str(root / "run")},
                check=True,
            )
        return json.loads((root / "run/phases.json").read_text())

    def test_each_is_there_by_its_name(self, tmp_path):
        assert self.note(tmp_path, ("boot", "21"), ("image", "95")) == {"boot": 21, "image": 95}

    def test_a_server_that_is_started_again_was_no_cold_start(self, tmp_path):
        assert self.note(tmp_path, ("weights", "40"), ("weights", "1")) == {"weights": 40}

    def test_two_that_end_at_once_are_both_there(self, tmp_path):
        names = [f"phase-{number}" for number in range(12)]
        ended = [
            subprocess.Popen(
                ["bash", str(SCRIPTS["phase.sh"]), name, "1"],
                env={"PATH": os.environ["PATH"], "RUN_DIR": str(tmp_path / "run")},
            )
            for name in names
        ]
        assert [process.wait() for process in ended] == [0] * len(names)
        assert json.loads((tmp_path / "run/phases.json").read_text()) == dict.fromkeys(names, 1)

    def test_everybody_may_read_it_and_root_alone_writes_it(self, tmp_path):
        self.note(tmp_path, ("boot", "21"))
        assert (tmp_path / "run/phases.json").stat().st_mode & 0o777 == 0o644


class TestEnvironment:
    def test_the_program_is_told_the_bucket_the_folder_and_the_source(self):
        assert weights_environment(WEIGHTS, STORE) == {
            "SPEECH_STORE": STORE,
            "SPEECH_WEIGHTS": "indextts-2.5",
            "SPEECH_WEIGHTS_DIR": "/weights",
            "SPEECH_WEIGHTS_SOURCE": "hf://IndexTeam/IndexTTS-2.5",
        }

    def test_a_bucket_that_is_filled_by_hand_has_no_source(self):
        assert "SPEECH_WEIGHTS_SOURCE" not in weights_environment(FILLED, STORE)
        assert not may_fill(FILLED)

    def test_a_mirror_is_told(self):
        mirrored = WEIGHTS.model_copy(update={"endpoint": "https://mirror.example.com"})
        told = weights_environment(mirrored, STORE)["SPEECH_WEIGHTS_SOURCE"]
        assert told == "hf://IndexTeam/IndexTTS-2.5?endpoint=https://mirror.example.com"

    @pytest.mark.parametrize(
        ("source", "endpoint"),
        [
            ("hf://IndexTeam/IndexTTS-2.5", None),
            ("hf://IndexTeam/IndexTTS-2@v1.0", "https://mirror.example.com:8443/hub"),
            ("modelscope://IndexTeam/IndexTTS-2.5@master", None),
        ],
    )
    def test_the_program_understands_what_it_is_told(self, source, endpoint):
        program = pytest.importorskip("speech_server.node.sync_weights", reason="no server here")
        given = WeightsSettings.model_validate({"name": "mine", "source": source, "endpoint": endpoint or ""})
        read = program.read_sync_settings(weights_environment(given, STORE))
        assert (read.store, read.name, str(read.folder)) == (STORE, "mine", "/weights")
        assert source in (
            f"{read.source.hub.kind}://{read.source.repo}",
            f"{read.source.hub.kind}://{read.source.repo}@{read.source.revision}",
        )
        assert endpoint in (None, read.source.hub.endpoint)

    def test_an_engine_without_weights_is_told_nothing(self):
        assert weights_environment(NO_WEIGHTS, STORE) == {}
        assert not may_fill(NO_WEIGHTS)
