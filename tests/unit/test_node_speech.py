"""What a node lets its server's container do, and how it ends."""

import pytest

from tests.unit.node_machine import IMAGE, Machine

SETTINGS = {"SERVER_PORT": "8000", "STOP_SECONDS": "90"}


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    made.answer("docker", "if [[ $1 == wait ]]; then echo 3; else echo a-container; fi")
    return made


def run_of(machine, **settings):
    """The docker run of a server that ended with 3."""
    done = machine.run("speech.sh", "i-1", "--log-driver", "journald", **{**SETTINGS, **settings})
    assert done.returncode == 3, done.stderr
    run, _ = machine.calls("docker")
    return run


def test_it_may_do_nothing_that_it_need_not(machine):
    run = run_of(machine)
    for option in (
        "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--pids-limit 4096", "--user 10001:10001",
        f"--volume {machine.root}/run/keys:/run/indextts2/keys:ro", "--volume /fast/weights:/weights:ro",
    ):  # fmt: skip
        assert option in run
    assert "--privileged" not in run
    assert "docker.sock" not in run


def test_it_is_told_who_it_is_and_where_its_log_goes(machine):
    run = run_of(machine)
    assert "--env SPEECH_REPLICA=i-1" in run
    assert "--publish 8000:8000 --stop-timeout 90" in run
    assert run.endswith(f"--log-driver journald {IMAGE}")


def test_an_engine_without_weights_has_none(machine):
    assert ":/weights" not in run_of(machine, WEIGHTS_DIR="")


def test_it_sees_how_long_the_node_took_where_that_is_known(machine):
    assert "phases.json" not in run_of(machine)
    (machine.root / "calls").unlink()
    (machine.root / "run").mkdir()
    (machine.root / "run/phases.json").write_text("{}")
    assert f"--volume {machine.root}/run/phases.json:/run/indextts2/phases.json:ro" in run_of(machine)
