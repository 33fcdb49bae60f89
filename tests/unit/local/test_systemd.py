"""The unit that brings a stack up with the machine, and the program that it runs, with a real process supervisor."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from components.local.machine import keeper, supervisor
from components.local.machine.layout import PROJECT_ROOT, Layout
from components.local.machine.supervisor import Supervisor
from components.local.machine.systemd_unit import STOP_SECONDS, Unit, text
from components.local.resources.replica_programs import STOP_SECONDS as REPLICA_STOP_SECONDS
from tools.failure import SetupError
from tools.systemd_unit import unit_of


def wait_for(condition):
    """Await a condition; the time-out only ends a test that has failed."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


@pytest.fixture
def layout(tmp_path):
    """A stack of a supervisor alone."""
    layout = Layout(tmp_path / "data")
    Supervisor(layout).start()
    yield layout
    Supervisor(layout).stop()


@pytest.fixture
def kept(layout, monkeypatch):
    """A keeper at work in this process: what tells it to end, and what it has said."""
    monkeypatch.setattr(keeper, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(keeper, "SILENT_SECONDS", 0.2)
    said = []
    monkeypatch.setattr(keeper, "_say", said.append)
    told = threading.Event()
    thread = threading.Thread(target=keeper.keep, args=(layout, told))
    thread.start()
    wait_for(lambda: said)
    yield told, said
    told.set()
    thread.join(60)
    assert not thread.is_alive()


class TestUnit:
    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
    @pytest.mark.parametrize("gpus", [True, False])
    def test_systemd_takes_it_with_odd_characters_in_its_path(self, tmp_path, gpus):
        unit = Unit("studio", "games", Layout(tmp_path / "50% off $HOME" / '声 "音'), gpus=gpus)
        path = tmp_path / unit.file_name
        path.write_text(text(unit))
        done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    def test_it_may_write_its_own_folder_and_no_other(self):
        unit = text(Unit("studio", "speech", Layout(Path("/srv/speech")), gpus=False))
        assert [line for line in unit.splitlines() if line.startswith("ReadWritePaths")] == [
            'ReadWritePaths="/srv/speech"'
        ]
        assert "PrivateTmp=yes" in unit
        assert "PrivateDevices=yes" in unit

    def test_sockets_that_had_to_go_to_tmp_are_reached_there(self):
        unit = text(Unit("studio", "speech", Layout(Path("/srv") / ("a" * 120)), gpus=False))
        assert 'ReadWritePaths="/tmp"' in unit
        assert "PrivateTmp" not in unit

    def test_gpus_are_the_only_devices(self):
        unit = text(Unit("studio", "speech", Layout(Path("/srv/speech")), gpus=True))
        assert [line for line in unit.splitlines() if "Device" in line] == [
            "DevicePolicy=closed",
            "DeviceAllow=char-nvidia* rw",
        ]

    def test_systemd_waits_as_long_as_a_replica_may_take(self):
        assert STOP_SECONDS > REPLICA_STOP_SECONDS + supervisor.START_SECONDS + 2 * 10


class TestWhoseUnit:
    def test_the_owner_of_the_directory_is_its_user(self, tmp_path, monkeypatch):
        outputs = {"fleet": str(tmp_path / "run" / "supervisord.conf"), "image": "indextts2@sha256:0"}
        if os.getuid() == 0:
            with pytest.raises(SetupError, match="belongs to root"):
                unit_of("studio", outputs)
            os.chown(tmp_path, 5, -1)  # Debian's and everybody's `games` or `sync`
        found = unit_of("studio", outputs)
        assert found.layout.data == tmp_path
        assert found.gpus
        assert found.user not in ("", "root")

    def test_a_stack_that_is_not_up_has_none(self):
        with pytest.raises(SetupError, match="make up STACK=studio"):
            unit_of("studio", {})


class TestKeeper:
    def test_it_brings_a_restarted_machines_stack_up_and_ends_it_when_told(self, layout):
        for process in Supervisor(layout).leftovers():
            process.kill()
        wait_for(lambda: not Supervisor(layout).leftovers())
        command = [sys.executable, "-m", "components.local.machine.keeper", str(layout.data)]
        with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("up; ")
            assert Supervisor(layout).running()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            assert process.stdout.read() == "ending the stack\n"
        assert not Supervisor(layout).leftovers()

    def test_a_supervisor_that_is_gone_with_its_guardian_comes_back(self, layout, kept):
        told, said = kept

        def pids():
            return {process.pid for process in Supervisor(layout).leftovers()}

        before = pids()
        for process in Supervisor(layout).leftovers():
            process.kill()
        wait_for(lambda: pids() - before and Supervisor(layout).running())
        assert said[1:] == ["the process supervisor is gone; starting it again"]
        told.set()
        wait_for(lambda: not pids())

    def test_a_stack_that_is_destroyed_is_let_go(self, layout, kept):
        _, said = kept
        (layout.run / "supervisord.conf").unlink()
        wait_for(lambda: said[-1] == "destroyed")

    def test_where_nothing_is_deployed_nothing_is_started(self, tmp_path, capsys):
        assert keeper.main(str(tmp_path)) == 0
        assert "run `make up`" in capsys.readouterr().out
