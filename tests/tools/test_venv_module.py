"""Debian's missing ensurepip, with stand-ins for apt-get and sudo on PATH."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from tests.tools.conftest import Script
from tools.failure import SetupError
from tools.progress import step
from tools.venv_module import ensure_venv_module

_PACKAGE = f"python3.{sys.version_info[1]}-venv"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH; ensurepip is missing until the stand-in apt-get has "installed" it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None):
        return None if name == "ensurepip" and not (folder / "installed").exists() else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    return folder


class TestEnsureVenvModule:
    def test_root_installs_the_package_after_an_update(
        self, path: Path, script: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        script(
            path / "apt-get",
            f'echo "$*" >> "{path}/calls"; if [ "$1" = update ]; then : > "{path}/updated"; exit 0; fi; '
            f'[ -e "{path}/updated" ] && : > "{path}/installed"',
        )
        with step("Python") as current:
            ensure_venv_module(current)
        calls = (path / "calls").read_text().splitlines()
        assert [call.split()[0] for call in calls] == ["install", "update", "install"]
        assert calls[0].endswith(_PACKAGE)
        assert f"installing the system package {_PACKAGE}" in capsys.readouterr().out

    def test_a_user_without_a_passwordless_sudo_is_told_the_command(
        self, path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        script(path / "apt-get", f': > "{path}/called"')
        script(path / "sudo", "exit 1")
        with pytest.raises(SetupError, match=f"sudo apt-get install {_PACKAGE}"), step("Python") as current:
            ensure_venv_module(current)
        assert not (path / "called").exists()

    def test_a_passwordless_sudo_is_used(self, path: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        script(path / "apt-get", f': > "{path}/installed"')
        script(path / "sudo", f'shift; echo "$1" >> "{path}/as-root"; "$@"')
        with step("Python") as current:
            ensure_venv_module(current)
        assert (path / "as-root").read_text().splitlines() == ["true", "apt-get"]

    def test_a_failing_apt_get_is_quoted(self, path: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        script(path / "apt-get", "echo 'E: Unable to locate package'; exit 100")
        with pytest.raises(SetupError, match="Unable to locate package"), step("Python") as current:
            ensure_venv_module(current)
