"""tools/python in real shells: fake interpreters stand for the versions that this machine lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.conftest import Script
from tools.checkout import Checkout


def _run(checkout: Checkout, path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout.root / "tools" / "python", *arguments],
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _fake(version: str, name: str) -> str:
    """An interpreter of that version, as far as tools/python asks one."""
    in_range = "0" if version.startswith(("3.10.", "3.11.", "3.12.")) else "1"
    return f"""case "$2" in
*sys.exit*) exit {in_range};;
*version_info\\[:3\\]*) echo {version};;
*version_info\\[:2\\]*) echo {version.rpartition(".")[0]};;
*) echo "{name} $*";;
esac"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with the few commands that the script needs, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("sh", "dirname", "sed"):
        found = shutil.which(command)
        assert found is not None
        (folder / command).symlink_to(found)
    return folder


class TestPythonChoice:
    def test_the_newest_in_range_is_taken(self, tools_checkout: Checkout, path: Path, script: Script) -> None:
        for name, version in (("python3", "3.13.1"), ("python3.10", "3.10.4"), ("python3.11", "3.11.2")):
            script(path / name, _fake(version, name))
        assert _run(tools_checkout, path, "-m", "x").stdout == "python3.11 -m x\n"

    def test_a_version_switcher_without_that_version_is_passed_over(
        self, tools_checkout: Checkout, path: Path, script: Script
    ) -> None:
        script(path / "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
        script(path / "python3", _fake("3.10.12", "python3"))
        assert _run(tools_checkout, path, "-m", "x").stdout == "python3 -m x\n"

    def test_the_one_that_the_environment_was_made_with_is_kept(
        self, tools_checkout: Checkout, path: Path, script: Script, tmp_path: Path
    ) -> None:
        home = tmp_path / "home of python"
        script(home / "python3.10", _fake("3.10.9", "the old one"))
        script(tools_checkout.venv / "bin" / "python", _fake("3.10.9", "inside"))
        (tools_checkout.venv / "pyvenv.cfg").write_text(f"home = {home}\nversion = 3.10.9\n")
        script(path / "python3.12", _fake("3.12.1", "python3.12"))
        assert _run(tools_checkout, path, "-m", "x").stdout == "the old one -m x\n"

    def test_the_given_one_wins(self, tools_checkout: Checkout, path: Path, script: Script, tmp_path: Path) -> None:
        given = script(tmp_path / "my python", _fake("3.11.9", "mine"))
        script(path / "python3.12", _fake("3.12.1", "python3.12"))
        assert _run(tools_checkout, path, "-m", "x", PYTHON=str(given)).stdout == "mine -m x\n"

    def test_a_given_one_out_of_range_is_refused(
        self, tools_checkout: Checkout, path: Path, script: Script, tmp_path: Path
    ) -> None:
        given = script(tmp_path / "python3.9", _fake("3.9.1", "old"))
        refused = _run(tools_checkout, path, "-m", "x", PYTHON=str(given))
        assert refused.returncode == 1
        assert "is Python 3.9.1; 3.10, 3.11 or 3.12 is needed" in refused.stderr
        missing = _run(tools_checkout, path, "-m", "x", PYTHON="python-of-nobody")
        assert missing.returncode == 1
        assert "PYTHON=python-of-nobody: there is no such program" in missing.stderr

    def test_what_was_found_is_named_when_nothing_fits(
        self, tools_checkout: Checkout, path: Path, script: Script
    ) -> None:
        script(path / "python3", _fake("3.9.2", "python3"))
        refused = _run(tools_checkout, path, "-m", "x")
        assert refused.returncode == 1
        assert "python3 (3.9.2)" in refused.stderr
        assert "apt-get install python3" in refused.stderr

    def test_it_runs_in_the_checkout_from_anywhere(self, tools_checkout: Checkout, tmp_path: Path) -> None:
        shown = subprocess.run(
            [tools_checkout.root / "tools" / "python", "-c", "import os, tools; print(os.getcwd())"],
            cwd=tmp_path,
            env={**os.environ, "PYTHON": sys.executable, "PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.strip() == str(tools_checkout.root)
