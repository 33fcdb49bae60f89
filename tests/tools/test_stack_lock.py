"""Lock files as the CLI writes them, held by real processes (a copy of `sleep` named pulumi)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.checkout import Checkout
from tools.failure import SetupError
from tools.leftover_plugins import leftover_plugins
from tools.stack_lock import clear_stale, is_pulumi, read_locks

HOST = socket.gethostname()


@pytest.fixture
def live_pulumi(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    sleep = shutil.which("sleep")
    assert sleep is not None
    program = tmp_path / "pulumi"
    shutil.copy(Path(sleep).resolve(), program)
    process = subprocess.Popen([program, "600"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def _lock(checkout: Checkout, pid: int, host: str = HOST) -> Path:
    file = checkout.state / ".pulumi" / "locks" / "organization" / "speech" / "local" / f"{pid}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"pid": pid, "username": "ann", "hostname": host, "timestamp": "2026-01-02T03:04:05.678Z"}
    file.write_text(json.dumps(content))
    file.with_name(f"{file.name}.attrs").write_text("{}")
    return file


class TestTornAttributes:
    def test_a_half_written_one_is_removed_and_said_and_a_whole_one_stays(
        self, checkout: Checkout, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = checkout.state / ".pulumi" / "stacks" / "speech"
        folder.mkdir(parents=True)
        for name, text in {"empty.json": "", "torn.json": '{"user.conte', "whole.json": "{}"}.items():
            (folder / f"{name}.attrs").write_text(text)
            (folder / name).write_text("{}")
        clear_stale(checkout, "local")
        assert sorted(file.name for file in folder.iterdir()) == [
            "empty.json", "torn.json", "whole.json", "whole.json.attrs",
        ]  # fmt: skip
        out = capsys.readouterr().out
        assert "removed empty.json.attrs" in out
        assert "removed torn.json.attrs" in out

    def test_nothing_is_touched_while_somebody_holds_the_stack(
        self, checkout: Checkout, live_pulumi: subprocess.Popen[bytes]
    ) -> None:
        torn = _lock(checkout, live_pulumi.pid).with_name("torn.attrs")
        torn.write_text("")
        with pytest.raises(SetupError):
            clear_stale(checkout, "local")
        assert torn.exists()


class TestClearStale:
    def test_no_lock(self, checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
        clear_stale(checkout, "local")
        assert capsys.readouterr().out == ""

    def test_a_dead_holders_lock_is_cleared_and_said(
        self, checkout: Checkout, dead_pid: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = _lock(checkout, dead_pid)
        clear_stale(checkout, "local")
        assert list(file.parent.iterdir()) == []
        out = capsys.readouterr().out
        assert f"process {dead_pid}, which held it since 2026-01-02T03:04:05.678Z, is gone" in out

    def test_a_number_that_went_to_another_program_is_stale(self, checkout: Checkout) -> None:
        file = _lock(checkout, os.getpid())
        clear_stale(checkout, "local")
        assert not file.exists()

    def test_a_live_holder_is_named_and_nothing_removed(
        self, checkout: Checkout, live_pulumi: subprocess.Popen[bytes], dead_pid: int
    ) -> None:
        _lock(checkout, live_pulumi.pid)
        _lock(checkout, dead_pid)
        with pytest.raises(
            SetupError, match=rf"process {live_pulumi.pid} \(pulumi, user ann, since 2026-01-02T03:04:05"
        ):
            clear_stale(checkout, "local")
        assert len(read_locks(checkout, "local")) == 2

    def test_another_hosts_is_never_taken_for_stale(self, checkout: Checkout, dead_pid: int) -> None:
        file = _lock(checkout, dead_pid, "elsewhere")
        with pytest.raises(SetupError, match=r"on the host elsewhere by process .*\n    rm "):
            clear_stale(checkout, "local")
        assert file.exists()

    @pytest.mark.parametrize("text", ["", "{", "[1]", '{"pid": "x"}'])
    def test_a_half_written_one_is_stale_after_a_while(self, checkout: Checkout, dead_pid: int, text: str) -> None:
        file = _lock(checkout, dead_pid)
        file.write_text(text)
        with pytest.raises(SetupError, match="being locked just now"):
            clear_stale(checkout, "local")
        past = time.time() - 60
        os.utime(file, (past, past))
        clear_stale(checkout, "local")
        assert not file.exists()

    def test_another_stacks_lock_is_not_looked_at(
        self, checkout: Checkout, live_pulumi: subprocess.Popen[bytes]
    ) -> None:
        file = _lock(checkout, live_pulumi.pid)
        clear_stale(checkout, "other")
        assert file.exists()


class TestIsPulumi:
    def test_by_its_name_and_life(self, live_pulumi: subprocess.Popen[bytes], dead_pid: int) -> None:
        assert is_pulumi(live_pulumi.pid)
        assert not is_pulumi(dead_pid)
        assert not is_pulumi(os.getpid())
        live_pulumi.kill()
        os.waitid(os.P_PID, live_pulumi.pid, os.WEXITED | os.WNOWAIT)  # dead, and its parent has not taken note
        assert not is_pulumi(live_pulumi.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells a process's environment")
class TestLeftoverPlugins:
    @pytest.fixture
    def plugin(self, checkout: Checkout) -> Iterator[subprocess.Popen[str]]:
        """As a dynamic provider shows in a process list; its parent is this test, no pulumi."""
        code = "print('up', flush=True); import sys; sys.stdin.read()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, "pulumi.dynamic", "127.0.0.1:1"],
            env={**os.environ, "PULUMI_HOME": str(checkout.pulumi_home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()
        process.communicate()

    def test_they_end_also_when_the_kill_hit_before_any_lock(
        self, checkout: Checkout, plugin: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        clear_stale(checkout, "local")
        assert plugin.wait(timeout=10) != 0
        assert "ended 1 plugin processes that a killed pulumi left behind" in capsys.readouterr().out

    def test_another_checkouts_are_left_alone(self, tmp_path: Path, plugin: subprocess.Popen[str]) -> None:
        assert leftover_plugins(tmp_path / "other") == []
        assert plugin.poll() is None
