"""The table of `make bench-gpu`, and what it says where there is nothing to measure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.bench_gpu.__main__ import NOTHING_TO_MEASURE, main
from tools.bench_gpu.report import Figures, Speech, from_json, table, to_json

ROOT = Path(__file__).resolve().parents[3]
FIGURES = Figures(
    version="2.5",
    package="indextts25-inference",
    precision="fp32",
    load_seconds=12.34,
    loaded_bytes=6_100_000_000,
    peak_bytes=7_250_000_000,
    new_voice=Speech(1.5, 4.0, 1, 1.5),
    known_voice=Speech(1.0, 4.0, 1, 1.0),
    long_text=Speech(20.4, 80.0, 8, 2.5),
    cancel_seconds=0.0123,
    stages=(12.0, 6.0, 1.0),
    own_seconds=0.4,
)


class TestTable:
    def test_a_row_says_it_all_in_as_many_cells_as_the_head(self) -> None:
        head, rule, row = table([FIGURES]).splitlines()
        assert head.count("|") == rule.count("|") == row.count("|")
        assert row == (
            "| 2.5, `indextts25-inference` | fp32 | 12.3 s | 6.1 / 7.2 GB | 1.50 s | 1.00 s for 4.0 s, RTF 0.250 "
            "| 8 in 20.4 s for 80 s, RTF 0.255, first after 2.50 s | 12 ms | 60% / 30% / 5% | 50 ms a segment, 2.0% |"
        )

    def test_figures_come_through_a_process(self) -> None:
        assert from_json(to_json(FIGURES)) == FIGURES


class TestNothingToMeasure:
    def test_without_the_packages_it_says_how_to_get_them(self) -> None:
        command = [sys.executable, "-m", "tools.bench_gpu"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == NOTHING_TO_MEASURE
        assert "torch is not installed in" in done.stderr
        assert "make bench-gpu" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--cpu",), "add --tiny"),
            (("--version", "2", "--package", "indextts25-inference"), "no package"),
            (("--segments", "0"), "at least 1"),
            (("--weights", "/nowhere"), "no folder"),
        ],
    )
    def test_what_cannot_be_is_told(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: tuple[str, ...],
        says: str,
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["bench-gpu", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert says in capsys.readouterr().err
