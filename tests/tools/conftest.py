"""A checkout of its own for each test: the tools are given its path, or run from a copy of themselves in it."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.checkout import Checkout

ROOT = Path(__file__).resolve().parents[2]

Script = Callable[[Path, str], Path]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """An empty checkout whose path has a space and a letter outside ASCII."""
    root = tmp_path / "a checkoüt"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: speech\nruntime: python\n")
    return Checkout(root)


@pytest.fixture
def tools_checkout(checkout: Checkout) -> Checkout:
    """The same, with the tools themselves in it."""
    ignore = shutil.ignore_patterns("__pycache__", "bench")
    shutil.copytree(ROOT / "tools", checkout.root / "tools", ignore=ignore)
    return checkout


@pytest.fixture
def script() -> Script:
    """Writes an executable shell script."""

    def write(path: Path, body: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write
