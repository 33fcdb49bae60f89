"""Servers in containers: settings, docker commands, the image, where shared files lie. Docker is a stand-in here."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from components.local.checks import container_problems, queue_problem
from components.local.confinement import confinement
from components.local.machine import containers
from components.local.machine.containers import RUN, Confinement
from components.local.machine.errors import MachineError
from components.local.machine.layout import Layout
from components.local.resources.container_image import ContainerImageProvider
from components.local.resources.keys_file import KeysFileProvider
from components.local.resources.queue_file import QueueFileProvider
from components.local.resources.replica_programs import replica_programs
from components.settings import SettingsError, load

# A stand-in for the docker client: it writes its arguments down, knows the image that it was asked to build, and
# refuses what it is not expected to be asked.
DOCKER = r"""#!/bin/sh
here="$(dirname "$0")"
printf '%s\n' "$*" >> "$here/asked"
case "$1 $2" in
"--version ") echo 'Docker version 20.10.24, build 297e128' ;;
"version --format") echo 20.10.24 ;;
"image inspect") if [ -f "$here/built" ]; then echo sha256:0123; else echo 'Error: No such image'; exit 1; fi ;;
"image rm") rm "$here/built" ;;
"build --target=cpu" | "pull --quiet")
  if [ -f "$here/broken" ]; then echo 'no such base'; exit 1; fi
  touch "$here/built" ;;
"rm --force" | "run --rm") ;;
*) echo "unexpected: $*"; exit 2 ;;
esac
"""


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """The stand-in's folder; it is on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for name in containers.WHICH_DAEMON:
        monkeypatch.delenv(name, raising=False)
    return folder


def asked(docker):
    return (docker / "asked").read_text().splitlines()


def settings(**values):
    return load("local", {f"indextts2:{key}": value for key, value in {"runtime": "container", **values}.items()})


def with_indextts2(**values):
    engine = {"name": "indextts2", "voices": "/srv/voices", **values}
    return settings(engine=json.dumps(engine), weights='{"folder": "/srv/weights"}')


class TestSettings:
    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"runtime": "podman"}, "indextts2:runtime: 'podman': should be 'process' or 'container'"),
            ({"runtime": "process", "image": "speech:1"}, "image: 'speech:1': is of no use with runtime process"),
            ({"image": "--privileged"}, "is no image's name"),
            ({"container": '{"network": "--privileged"}'}, "is no network of Docker's"),
            ({"container": '{"memory": "lots"}'}, "is no amount of memory; write it like 16g"),
            (
                {"engine": '{"name": "indextts2", "version": "2"}', "weights": '{"folder": "/w"}'},
                "indextts2:image: '': is empty, and the image that is built has version 2.5 alone",
            ),
            (
                {"engine": '{"name": "indextts2", "python": "/x"}', "weights": '{"folder": "/w"}'},
                "has the engine's packages in its image; remove engine.python",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, values, words):
        with pytest.raises(SettingsError) as caught:
            settings(**values)
        assert words in "\n".join(caught.value.problems)


class TestWhetherDockerAnswers:
    def test_it_does(self, docker):
        assert containers.problem() is None

    def test_there_is_none(self, tmp_path):
        assert "docker is not on PATH; install Docker" in containers.problem({"PATH": str(tmp_path)})

    def test_one_on_another_machine_cannot_mount_folders_of_this_one(self, docker, monkeypatch):
        monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
        assert "unset it or name a unix: socket" in containers.problem()

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ("echo 'podman version 4.3.1'", "docker is podman here, with which this was never run"),
            ("echo 'permission denied while trying to connect'; exit 1", "Docker does not answer ('permission denied"),
        ],
    )
    def test_what_it_says_is_told(self, docker, body, words):
        (docker / "docker").write_text(f"#!/bin/sh\n{body}\n")
        assert words in containers.problem()

    def test_a_path_that_a_mount_cannot_name(self, docker):
        (problem,) = container_problems(settings(), Layout(Path("/srv/a,b"), contained=True))[:1]
        assert "'/srv/a,b/keys': a path with ',' in it cannot be mounted" in problem


class TestConfinement:
    def test_a_server_writes_objects_and_the_queue_and_reads_keys_weights_and_voices(self):
        found = confinement(with_indextts2(), Layout(Path("/srv/data"), contained=True), "sha256:0")
        assert found.writable == ("/srv/data/objects", "/srv/data/queue")
        assert found.readable == ("/srv/data/keys", "/srv/weights", "/srv/voices")
        assert (found.gpus, found.memory, found.network) == (True, "16g", "bridge")
        assert not confinement(with_indextts2(device="cpu"), Layout(Path("/srv")), "sha256:0").gpus

    def test_it_comes_back_from_json_as_it_was(self):
        found = confinement(settings(), Layout(Path("/srv/data"), contained=True), "sha256:0")
        assert Confinement.of(json.loads(json.dumps(asdict(found)))) == found


class TestPrograms:
    @pytest.fixture
    def program(self):
        layout = Layout(Path("/srv/data"), contained=True)
        container = {
            "docker": "/usr/bin/docker",
            "daemon": {"DOCKER_HOST": "unix:///run/docker.sock"},
            "confinement": asdict(confinement(settings(), layout, "sha256:0123")),
        }
        inputs = {"replicas": 1.0, "environment": {"SPEECH_ENGINE": "espeak"}, "container": container}
        return replica_programs(layout, inputs)["server-0"]

    def test_it_has_no_rights_and_limits(self, program):
        (command,) = [line for line in program.splitlines() if line.startswith("command=")]
        for option in ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=2g"):
            assert f" {option} " in command
        assert "--pids-limit=128" in command
        assert "--privileged" not in command
        assert command.endswith(" sha256:0123 serve")

    def test_of_the_stacks_sockets_it_sees_its_own_alone(self, program):
        mounts = [part for part in program.split() if part.startswith("--mount=")]
        assert mounts == [
            "--mount=type=bind,source=/srv/data/keys,target=/srv/data/keys,readonly",
            "--mount=type=bind,source=/srv/data/objects,target=/srv/data/objects",
            "--mount=type=bind,source=/srv/data/queue,target=/srv/data/queue",
            "--mount=type=bind,source=/srv/data/run/server-0,target=/srv/data/run/server-0",
        ]
        assert 'SPEECH_LISTEN="unix:/srv/data/run/server-0/http.sock"' in program

    def test_values_are_in_no_command_line(self, program):
        (command,) = [line for line in program.splitlines() if line.startswith("command=")]
        assert "--env=SPEECH_ENGINE " in command
        assert "espeak" not in command

    def test_one_that_was_left_behind_goes_first(self, docker):
        command = [
            sys.executable,
            str(RUN),
            str(docker / "docker"),
            "indextts2-a-server-0",
            "--read-only",
            "image",
            "serve",
        ]
        assert subprocess.run(command, check=False).returncode == 0
        assert asked(docker) == [
            "rm --force indextts2-a-server-0",
            "run --rm --name=indextts2-a-server-0 --log-driver=none --read-only image serve",
        ]

    def test_two_stacks_have_containers_of_different_names(self):
        names = {containers.name_of(Layout(Path(path)), "server-0") for path in ("/srv/a", "/srv/b")}
        assert len(names) == 2


class TestImage:
    @pytest.fixture
    def inputs(self, docker):
        return {
            "docker": str(docker / "docker"),
            "reference": "indextts2-speech:cpu-0123",
            "target": "cpu",
            "arguments": {"BASE_IMAGE": "mirror/python:3.12"},
            "network": "bridge",
        }

    def test_it_is_built_found_missing_built_again_and_removed(self, inputs, docker, capsys):
        provider = ContainerImageProvider()
        created = provider.create(inputs)
        assert created.outs["image"] == "sha256:0123"
        (build,) = [line for line in asked(docker) if line.startswith("build")]
        assert build.startswith(
            "build --target=cpu --tag=indextts2-speech:cpu-0123 --build-arg=BASE_IMAGE=mirror/python"
        )
        assert not provider.diff(created.id, provider.read(created.id, created.outs).outs, inputs).changes
        (docker / "built").unlink()
        drifted = provider.read(created.id, created.outs).outs
        assert provider.diff(created.id, drifted, inputs).changes
        provider.update(created.id, drifted, inputs)
        assert (docker / "built").exists()
        provider.delete(created.id, created.outs)
        assert not (docker / "built").exists()
        assert "building indextts2-speech:cpu-0123" in capsys.readouterr().err

    def test_new_code_is_another_image_and_the_old_one_goes_after_it(self, inputs):
        provider = ContainerImageProvider()
        created = provider.create(inputs)
        diff = provider.diff(created.id, created.outs, {**inputs, "reference": "indextts2-speech:cpu-4567"})
        assert diff.replaces == ["reference"]
        assert not diff.delete_before_replace

    def test_a_ready_one_is_fetched_unless_it_is_here_and_stays(self, inputs, docker):
        provider = ContainerImageProvider()
        ready = {**inputs, "target": "", "arguments": {}, "reference": "registry.example/speech@sha256:0"}
        created = provider.create(ready)
        provider.create(ready)
        assert [line for line in asked(docker) if line.startswith("pull")] == [
            "pull --quiet registry.example/speech@sha256:0"
        ]
        provider.delete(created.id, created.outs)
        assert (docker / "built").exists()

    def test_a_build_that_fails_is_told_in_dockers_own_words(self, inputs, docker):
        (docker / "broken").touch()
        with pytest.raises(MachineError, match=r"(?s)docker could not build .*inference \(status 1\):.*no such base"):
            ContainerImageProvider().create(inputs)


class TestSharedFiles:
    """What servers in containers share lies in folders of its own: those are mounted."""

    @pytest.fixture
    def inputs(self, tmp_path):
        return {"dataDir": str(tmp_path / "data"), "forceDestroy": False, "contained": False, "clients": {}}

    def test_the_keys_move_with_the_runtime_and_stay_what_they_are(self, inputs, tmp_path):
        provider, contained = KeysFileProvider(), {**inputs, "contained": True}
        created = provider.create(inputs)
        assert provider.diff(created.id, created.outs, contained).changes
        moved = provider.update(created.id, created.outs, contained)
        assert moved.outs["generated"] == created.outs["generated"]
        assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == [
            tmp_path / "data" / "keys" / "keys.json"
        ]
        back = provider.update(created.id, moved.outs, inputs)
        assert [*(tmp_path / "data").iterdir()] == [tmp_path / "data" / "keys.json"]
        assert not provider.diff(created.id, back.outs, inputs).changes

    def test_the_queue_is_another_one(self, inputs, tmp_path):
        provider, contained = QueueFileProvider(), {**inputs, "contained": True}
        created = provider.create(inputs)
        assert provider.diff(created.id, created.outs, contained).replaces == ["contained"]
        without = {name: value for name, value in created.outs.items() if name != "contained"}
        assert not provider.diff(created.id, without, inputs).replaces
        made = provider.create(contained)
        assert (tmp_path / "data" / "queue" / "queue.sqlite").exists()
        provider.delete(made.id, made.outs)
        assert not (tmp_path / "data" / "queue").exists()

    def test_jobs_that_wait_are_not_left_behind(self, inputs, tmp_path):
        QueueFileProvider().create(inputs)
        layout = Layout(tmp_path / "data")
        assert queue_problem(Layout(tmp_path / "data", contained=True)) is None
        with closing(sqlite3.connect(layout.queue)) as queue, queue:
            queue.execute("CREATE TABLE messages (id)")
            queue.execute("INSERT INTO messages VALUES (1)")
        assert f"indextts2:runtime: {layout.queue} holds jobs" in queue_problem(
            Layout(tmp_path / "data", contained=True)
        )
        assert queue_problem(layout) is None
