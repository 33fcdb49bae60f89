"""How long the set-up takes: in a fresh clone with the Pulumi CLI in its cache, and when nothing changed."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from pathlib import Path

from tools.bench.figures import Row, seconds

ROOT = Path(__file__).resolve().parents[2]


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="indextts2-bench-") as directory:
        clone = Path(directory) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        fresh = seconds(lambda: make(clone, "setup"))
        again = statistics.median(seconds(lambda: make(clone, "setup")) for _ in range(3))
    return [
        Row("make setup, fresh clone, CLI in its cache", f"{fresh:.1f} s"),
        Row("make setup, nothing changed", f"{again:.2f} s"),
    ]


def make(directory: Path, target: str) -> None:
    subprocess.run(["make", "--silent", target], cwd=directory, check=True, stdout=subprocess.DEVNULL)
