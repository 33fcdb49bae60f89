"""The engine in its own process, as the server runs it: needs one, because what is asked is how that process ends.

The stand-ins are on its path in place of torch and the model.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_server.engines.worker_process import EngineFaultError, WorkerProcess
from tests.inference.indextts2.material import PACKAGES, reference, sample, utterance, write_weights

LOAD_SECONDS = 60
SPEAK_SECONDS = 60
ROOT = Path(__file__).parents[3]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights' folder; the worker inherits the variables."""
    folder = tmp_path / "weights"
    write_weights(folder, "2.5")
    monkeypatch.setenv("SPEECH_ENGINE_WEIGHTS", str(folder))
    monkeypatch.setenv("SPEECH_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PACKAGES), str(ROOT / "inference"), str(ROOT)]))
    return folder


async def _speak_and_end(text: str, tmp_path: Path) -> bytes:
    worker = await WorkerProcess.start("indextts2")
    try:
        capabilities = await worker.loaded(LOAD_SECONDS)
        assert (capabilities.name, capabilities.version, capabilities.native_duration) == ("indextts2", "2.5", True)
        spoken = await worker.speak(utterance(text, reference(tmp_path, sample(200))), SPEAK_SECONDS)
        return spoken.pcm
    finally:
        worker.kill("the test is over")
        await worker.gone()


class TestWorker:
    def test_it_loads_by_its_name_and_speaks(
        self, environment: Path, tmp_path: Path, run: Callable[[Any], Any]
    ) -> None:
        pcm = run(_speak_and_end("你好，世界。", tmp_path))
        assert len(pcm) > 10_000

    def test_missing_weights_are_named_in_the_servers_log(self, environment: Path, run: Callable[[Any], Any]) -> None:
        (environment / "gpt.pth").unlink()

        async def load() -> None:
            worker = await WorkerProcess.start("indextts2")
            try:
                await worker.loaded(LOAD_SECONDS)
            finally:
                worker.kill("the test is over")
                await worker.gone()

        with pytest.raises(EngineFaultError, match=r"WeightsError: .*gpt\.pth is missing"):
            run(load())


class TestWatchdog:
    def test_a_hung_call_ends_the_process_and_says_where_but_not_what(self, tmp_path: Path) -> None:
        program = (
            "import threading\n"
            "from speech_server.engines.indextts2.watchdog import ends_after\n"
            "def hangs(secret):\n"
            "    threading.Lock().acquire() and threading.Event().wait()\n"
            "with ends_after(60):\n"
            "    pass\n"
            "with ends_after(0.2):\n"
            "    hangs('机密')\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(ROOT / "inference")},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 1
        assert b"in hangs" in ended.stderr
        assert "机密".encode() not in ended.stderr
