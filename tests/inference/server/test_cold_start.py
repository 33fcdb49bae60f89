"""What a node's start took: the phases of a file that others write, hostile or missing, and the server's own."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from speech_server.cold_start import known_phases, process_started, read_phases
from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import until


class TestPhases:
    def test_those_that_are_known_in_their_order(self) -> None:
        text = '{"weights": 31.5, "boot": 41, "instance": 0.5}'
        assert known_phases(text) == ({"instance": 0.5, "boot": 41.0, "weights": 31.5}, 0)
        assert list(known_phases(text)[0]) == ["instance", "boot", "weights"]

    @pytest.mark.parametrize(
        "text",
        [
            '{"boot": -1}',
            '{"boot": 1e999}',
            '{"boot": NaN}',
            '{"boot": 86401}',
            '{"boot": true}',
            '{"boot": "41"}',
            '{"boot": null}',
            '{"load": 5}',  # the server's own, which nobody else tells
            '{"x\\"} 1\\nspeech_up": 1}',
            "[41]",
            "41",
            "",
            "[" * 4000,
        ],
    )
    def test_nonsense_is_counted_and_left_out(self, text: str) -> None:
        assert known_phases(text) == ({}, 1)

    def test_no_file(self, tmp_path: Path) -> None:
        assert read_phases(tmp_path / "phases.json") == {}

    def test_what_is_no_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "large").write_text('{"boot": 1}' + " " * 5000)
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        for name in ("pipe", "large", "binary", "."):
            assert read_phases(tmp_path / name) == {}

    def test_this_process_began_a_while_ago(self) -> None:
        assert time.monotonic() - 3600 * 24 < process_started() <= time.monotonic()


class TestTheServer:
    def test_each_phase_is_a_metric_and_all_are_one_line(self, start_server: StartServer, tmp_path: Path) -> None:
        phases = tmp_path / "phases.json"
        phases.write_text('{"instance": 9.5, "boot": 41.2, "image": 63.0, "colour": 5}')
        server = start_server(phases_file=phases)
        (line,) = until(lambda: server.log("cold_start"))
        assert (line["instance"], line["boot"], line["image"]) == (9.5, 41.2, 63.0)
        assert server.metric('speech_cold_start_seconds{phase="image"}') == 63.0
        for phase in ("server", "load"):
            assert 0 < line[phase] < 60
            assert server.metric(f'speech_cold_start_seconds{{phase="{phase}"}}') == pytest.approx(
                line[phase], abs=1e-3
            )
        assert [line["count"] for line in server.log("phases_ignored")] == [1]
        assert "colour" not in line
