"""With a real `venv` and a real pip, which is kept off the network: nothing here needs a package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.tools.conftest import Script
from tools import virtualenv
from tools.checkout import Checkout
from tools.failure import SetupError
from tools.pip_advice import pip_advice

# A build backend in the project itself, so that no setuptools is needed to install a command.
_BACKEND = """
import zipfile
from pathlib import Path
FILES = {
    "demo-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: demo\\nVersion: 1\\n",
    "demo-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: demo\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "demo-1.dist-info/entry_points.txt": "[console_scripts]\\nindextts2 = json.tool:main\\n",
    "demo-1.dist-info/RECORD": "",
}
def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(Path(wheel_directory) / "demo-1-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
    return "demo-1-py3-none-any.whl"
"""


@pytest.fixture
def project(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    checkout.requirements("local").write_text("# nothing\n")
    folder = checkout.root / "inference"
    folder.mkdir()
    (folder / "backend.py").write_text(_BACKEND)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "demo"\nversion = "1"\n'
    )
    return checkout


class TestEnsure:
    def test_makes_fills_and_keeps(self, project: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
        """One environment through all of it, because making one takes seconds."""
        virtualenv.ensure(project, "local")
        assert "made .venv" in capsys.readouterr().out
        assert (project.venv / "bin" / "indextts2").is_file()

        keepsake = project.venv / "keepsake"
        keepsake.touch()
        virtualenv.ensure(project, "local")
        assert capsys.readouterr().out.count("up to date") == 2
        assert keepsake.exists()

        # A pin that nothing offers: said with advice, the environment stays, and mending the file mends the rest.
        project.requirements("local").write_text("nobody-has-this==1 --hash=sha256:" + "0" * 64 + "\n")
        with pytest.raises(SetupError, match=r"(?s)No matching distribution.*PIP_INDEX_URL"):
            virtualenv.ensure(project, "local")
        project.requirements("local").write_text("# nothing again\n")
        virtualenv.ensure(project, "local")
        assert keepsake.exists()
        assert "installed" in capsys.readouterr().out

        # Killed while pip was writing.
        (project.venv / "indextts2-set-up" / "installing").touch()
        assert virtualenv.why_unusable(project.venv) == "an installation into it was cut short"

    def test_a_target_without_requirements_is_named(self, project: Checkout) -> None:
        with pytest.raises(SetupError, match=r"requirements-aws\.txt does not exist.*'aws'"):
            virtualenv.ensure(project, "aws")


class TestWhyUnusable:
    """Environments as far as they are looked at: a python that answers, and pip's first line."""

    @pytest.fixture
    def venv(self, tmp_path: Path, script: Script) -> Path:
        venv = tmp_path / ".venv"
        script(venv / "bin" / "python", f"echo {sys.version_info[0]}.{sys.version_info[1]}")
        (venv / "bin" / "pip").write_text(f"#!{venv}/bin/python\n")
        return venv

    def test_a_sound_one_is_kept(self, venv: Path) -> None:
        assert virtualenv.why_unusable(venv) is None

    @pytest.mark.parametrize(
        ("body", "reason"),
        [("echo 3.9", "it has Python 3.9"), ("exit 1", "its Python does not start")],
    )
    def test_a_python_that_will_not_do(self, venv: Path, script: Script, body: str, reason: str) -> None:
        script(venv / "bin" / "python", body)
        assert virtualenv.why_unusable(venv) == reason

    def test_a_python_that_was_uninstalled(self, venv: Path) -> None:
        (venv / "bin" / "python").unlink()
        (venv / "bin" / "python").symlink_to("/nowhere/python3")
        assert virtualenv.why_unusable(venv) == "its Python does not start"

    def test_a_moved_one(self, venv: Path) -> None:
        moved = venv.rename(venv.with_name("moved"))
        assert virtualenv.why_unusable(moved) == "it was made at another path"

    def test_none_yet(self, tmp_path: Path) -> None:
        assert virtualenv.why_unusable(tmp_path / ".venv") == "none yet"


class TestAdvice:
    @pytest.mark.parametrize(
        ("output", "word", "undone"),
        [
            ("OSError: [Errno 28] No space left on device", "disk is full", False),
            ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "differs", True),
            ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "PIP_CERT", True),
            ("fatal error: Python.h: No such file or directory", "python3-dev", True),
            ("error: command 'gcc' failed: No such file or directory", "build-essential", True),
            ("NewConnectionError: Failed to establish a new connection", "PIP_INDEX_URL", True),
            ("Temporary failure in name resolution", "PIP_INDEX_URL", True),
            ("something new", "pip names above", False),
        ],
    )
    def test_each_cause_has_its_remedy(self, output: str, word: str, undone: bool) -> None:
        advice = pip_advice(f"Collecting x\n{output}\n")
        assert word in advice.text
        assert advice.undone is undone
