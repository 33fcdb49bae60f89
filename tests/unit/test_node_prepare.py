"""What a node runs before its server: the image's pull and the weights, at once where these have an image of their own.

Processes, because what counts is what the shell does. Where two must be under way at the same time, the stand-in for
docker has them meet at a pipe: each waits for the other, and neither could end if they came one after the other.
"""

import contextlib
import json
import os
import signal
import time

import psutil
import pytest

from tests.unit.node_machine import IMAGE, Machine

SMALL = f"registry.example.com/speech@sha256:{'b' * 64}"
# What is here lies in a folder by its name; a pull of either image puts it there.
DOCKER = """
name=small; if [[ ${{!#}} == *aaaa ]]; then name=large; fi
case $1 in
image) [[ -e $ANSWERS/here/$name ]] || exit 1;;
pull) if [[ $name == large ]]; then {large}; else {small}; fi; touch "$ANSWERS/here/$name";;
run) touch "$ANSWERS/container"; {run}; rm "$ANSWERS/container";;
stop | rm) if [[ ${{!#}} == weights ]]; then rm -f "$ANSWERS/container"; fi;;
esac
"""
MEET_AS_ONE, MEET_AS_OTHER = "echo > $ANSWERS/pipe", "read -r < $ANSWERS/pipe"


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    (tmp_path / "here").mkdir()
    os.mkfifo(tmp_path / "pipe")
    return made


def docker_does(machine, large=":", small=":", run=":"):
    machine.answer("docker", DOCKER.format(large=large, small=small, run=run))


def living(session):
    """Whether a process of it has not ended; whoever its parent is now may not have been told of its end."""
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                return True
    return False


def prepare(machine, weights_image=SMALL, **settings):
    login = ("bash", "-c", 'echo "login" >> "$ANSWERS/calls"')
    return machine.run("prepare.sh", *login, WEIGHTS_IMAGE=weights_image, **settings)


def order(machine):
    """What was done, without looking what is here."""
    words = {f"docker pull --quiet {IMAGE}": "pull", f"docker pull --quiet {SMALL}": "pull small", "login": "login"}
    calls = [words.get(call, call) for call in machine.calls("")]
    return [
        "run" if call.startswith("docker run") else call
        for call in calls
        if not call.startswith(("docker image", "docker rm"))
    ]


class TestAtOnce:
    def test_the_weights_come_while_the_image_is_pulled(self, machine):
        docker_does(machine, large=MEET_AS_ONE, run=MEET_AS_OTHER)
        assert prepare(machine).returncode == 0
        assert sorted(order(machine)) == ["login", "pull", "pull small", "run"]

    def test_the_log_in_is_done_once_and_before(self, machine):
        docker_does(machine)
        assert prepare(machine).returncode == 0
        assert order(machine)[0] == "login"
        assert order(machine).count("login") == 1

    def test_each_is_timed_by_itself(self, machine):
        docker_does(machine, large=MEET_AS_ONE, run=MEET_AS_OTHER)
        prepare(machine)
        assert json.loads((machine.root / "run/phases.json").read_text()).keys() == {"image", "weights"}

    def test_a_second_time_pulls_nothing(self, machine):
        docker_does(machine)
        prepare(machine)
        (machine.root / "calls").unlink()
        assert prepare(machine).returncode == 0
        assert order(machine) == ["run"], "the program itself knows what lies on the disk"

    def test_a_failed_log_in_pulls_nothing(self, machine):
        docker_does(machine)
        failed = machine.run("prepare.sh", "bash", "-c", "echo 'no login' >&2; exit 1", WEIGHTS_IMAGE=SMALL)
        assert (failed.returncode, failed.stderr) == (1, "no login\n")
        assert order(machine) == []

    def test_a_registry_open_to_all_needs_no_log_in(self, machine):
        docker_does(machine)
        assert prepare(machine, REGISTRY_HOST="").returncode == 0
        assert "login" not in order(machine)


class TestOneAfterTheOther:
    def test_the_servers_image_brings_the_weights_once_it_is_there(self, machine):
        docker_does(machine)
        assert prepare(machine, weights_image="").returncode == 0
        assert order(machine) == ["login", "pull", "run"]
        assert f"--entrypoint python {IMAGE} -m" in machine.calls("docker run")[0]

    def test_a_failed_pull_brings_none(self, machine):
        docker_does(machine, large="echo 'manifest unknown' >&2; exit 1")
        failed = prepare(machine, weights_image="")
        assert (failed.returncode, failed.stderr) == (1, "manifest unknown\n")
        assert "run" not in order(machine)

    def test_an_engine_without_weights_pulls_its_image(self, machine):
        docker_does(machine)
        assert prepare(machine, weights_image="", WEIGHTS_DIR="").returncode == 0
        assert order(machine) == ["login", "pull"]


class TestFailure:
    """The one that did not fail is left to end, and the last line is the failing one's."""

    def test_of_the_pull(self, machine):
        docker_does(
            machine,
            large=f"echo 'manifest unknown' >&2; {MEET_AS_ONE}; exit 1",
            run=f"{MEET_AS_OTHER}; echo 'sync-weights: 9 of 9 GB' >&2",
        )
        failed = prepare(machine)
        assert failed.returncode == 1
        lines = failed.stderr.splitlines()
        assert sorted(lines) == ["manifest unknown"] * 2 + ["sync-weights: 9 of 9 GB"]
        assert lines[-1] == "manifest unknown"
        assert json.loads((machine.root / "run/phases.json").read_text()).keys() == {"weights"}

    def test_of_the_pull_while_the_weights_still_come(self, machine):
        docker_does(machine, large="echo 'manifest unknown' >&2; exit 1", run=MEET_AS_OTHER)
        started = machine.start("prepare.sh", "true", WEIGHTS_IMAGE=SMALL)
        assert started.stderr.readline() == "manifest unknown\n"
        (machine.root / "pipe").write_text("the weights are there\n")
        _, rest = started.communicate(timeout=60)
        assert (started.returncode, rest) == (1, "manifest unknown\n")

    def test_of_the_weights(self, machine):
        last = '[[ $(grep -c "^docker run" $ANSWERS/calls) -lt 4 ]] ||'
        docker_does(
            machine, large=MEET_AS_OTHER, run=f"echo 'sync-weights: access denied' >&2; {last} {MEET_AS_ONE}; exit 77"
        )
        failed = prepare(machine)
        assert failed.returncode == 1
        assert failed.stderr.splitlines() == ["sync-weights: access denied"] * 4
        assert (machine.root / "here/large").exists(), "the next try finds it"

    def test_of_the_small_image(self, machine):
        docker_does(machine, small="echo 'no such host' >&2; exit 1")
        failed = prepare(machine)
        assert failed.returncode == 1
        assert failed.stderr.splitlines()[-1] == "no such host"
        assert "run" not in order(machine)

    def test_of_both(self, machine):
        docker_does(machine, large="echo 'manifest unknown' >&2; exit 1", run="echo 'access denied' >&2; exit 77")
        failed = prepare(machine)
        assert failed.returncode == 1
        lines = failed.stderr.splitlines()
        assert sorted(lines) == ["access denied"] * 4 + ["manifest unknown"] * 2
        assert lines[-1] == "manifest unknown"

    def test_the_next_try_brings_what_lacks_and_no_more(self, machine):
        docker_does(machine, large="exit 1")
        prepare(machine)
        (machine.root / "calls").unlink()
        docker_does(machine)
        assert prepare(machine).returncode == 0
        assert sorted(order(machine)) == ["login", "pull", "run"]


class TestStop:
    """systemd tells every process of the unit at once; here every one of the session. Then it runs what ends it."""

    @pytest.mark.parametrize("weights_image", [SMALL, ""])
    def test_both_end_with_all_that_they_started(self, machine, weights_image):
        # Nobody comes to the pipe.
        held = f"touch $ANSWERS/begun-$1-{{}}; {MEET_AS_OTHER}"
        docker_does(machine, large=held.format("large") if weights_image else ":", run=held.format("run"))
        started = machine.start("prepare.sh", "true", WEIGHTS_IMAGE=weights_image)
        begun = ["begun-pull-large", "begun-run-run"] if weights_image else ["begun-run-run"]
        while not all((machine.root / name).exists() for name in begun):
            time.sleep(0.01)
        assert (machine.root / "container").exists()
        os.killpg(started.pid, signal.SIGTERM)
        started.communicate(timeout=60)
        assert started.returncode == -signal.SIGTERM
        while living(started.pid):
            time.sleep(0.01)
        assert len(machine.calls("docker run")) == 1, "nothing is tried again"
        assert machine.run("end_weights.sh").returncode == 0
        assert machine.calls("docker stop") == ["docker stop -t 10 weights"]
        assert not (machine.root / "container").exists()

    def test_where_no_container_is_left_nothing_is_said(self, machine):
        machine.answer("docker", "echo 'No such container: weights' >&2; exit 1")
        done = machine.run("end_weights.sh")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
