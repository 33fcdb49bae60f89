"""The environment of the `indextts2` engine. What pip does in it is tested with the other environments."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import engine, virtualenv
from tools.checkout import Checkout
from tools.failure import SetupError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], tuple[str, ...]]]:
    """What pip was asked for: names of the files, and options. The environment is made, and stays empty."""
    asked: list[tuple[list[str], tuple[str, ...]]] = []

    def ensure(_checkout: Checkout, folder: Path, *files: Path, options: Sequence[str] = ()) -> None:
        asked.append(([file.name for file in files], tuple(options)))
        venv.create(folder, symlinks=True, with_pip=False)

    monkeypatch.setattr(virtualenv, "ensure_separate", ensure)
    monkeypatch.setattr(engine, "NEEDED_BYTES", 0)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(engine.platform, "machine", lambda: "x86_64")
    return asked


class TestMake:
    def test_everything_is_in_it_and_the_checkouts_server_is_found(
        self, checkout: Checkout, installed: list[tuple[list[str], tuple[str, ...]]]
    ) -> None:
        (checkout.root / "inference" / "speech_server").mkdir(parents=True)
        (checkout.root / "inference" / "speech_server" / "__init__.py").write_text("HERE = True\n")
        engine.make(checkout)
        assert [names for names, _ in installed] == [
            [
                "requirements.txt",
                "requirements-gpu.txt",
                "requirements-aws.txt",
                "requirements-traces.txt",
                "requirements-indextts2.txt",
            ],
            ["requirements-indextts2-source.txt"],
        ]
        assert all("--no-deps" in options for _, options in installed)
        python = engine.environment(checkout) / "bin" / "python"
        subprocess.run([str(python), "-I", "-c", "import speech_server; assert speech_server.HERE"], check=True)

    @pytest.mark.usefixtures("installed")
    def test_another_kind_of_machine_is_told_at_once(self, checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine.platform, "machine", lambda: "aarch64")
        with pytest.raises(SetupError, match="for Linux on x86_64; this is linux aarch64"):
            engine.make(checkout)

    @pytest.mark.usefixtures("installed")
    def test_too_small_a_disk_is_told_before_anything_is_fetched(
        self, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "NEEDED_BYTES", 14 * 10**9)
        monkeypatch.setattr(engine.shutil, "disk_usage", lambda _path: SimpleNamespace(free=5 * 10**9))
        with pytest.raises(SetupError, match=r"5\.0 GB are free, and the engine's packages take about 14"):
            engine.make(checkout)
        assert not engine.environment(checkout).exists()
