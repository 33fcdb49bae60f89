"""How many jobs a second one server accepts and finishes, through SQLite and a store in a folder, with an engine that
takes no time. Accepted means written down: order and message are on the disk before the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from tools.bench.figures import Row
from tools.bench.server import INSTANT, KEY, ROOT, answer, process, until
from tools.bench.wire import post

HEAD = (
    "POST /v1/jobs HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    f"Authorization: Bearer {KEY}\r\n"
)  # fmt: skip
JOBS = 1500
CONNECTIONS = 16
ROUNDS = 3
BATCH = 1000


def measure() -> list[Row]:
    accepted, finished, batches = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="indextts2-bench-") as name:
            first, second, third = _round(Path(name))
        accepted.append(first)
        finished.append(second)
        batches.append(third)
    return [
        Row("POST /v1/jobs, accepted", f"{statistics.median(accepted):.0f} jobs/s", "at least 300 jobs/s"),
        Row(
            "  and finished with an instant engine", f"{statistics.median(finished):.0f} jobs/s", "at least 100 jobs/s"
        ),
        Row(
            f"a batch of {BATCH:,} clips, finished", f"{statistics.median(batches):.0f} clips/s", "at least 100 clips/s"
        ),
    ]


def _round(directory: Path) -> tuple[float, float, float]:
    """Jobs accepted and finished a second, clips of a batch finished a second."""
    # Accepted first, by a server whose engine never gets ready, so that both figures are of one thing each.
    with _server(directory, "tools.bench.jobs:NeverReady", ready=False) as path:
        bodies = ({"text": f"number {number}"} for number in range(JOBS))
        count, taken = asyncio.run(post(path, HEAD, bodies, CONNECTIONS))
        accepted = count / taken
    ends = directory / "store" / "jobs" / "done" / "bench"
    with _server(directory, INSTANT) as path:
        began, before = time.perf_counter(), _count(ends)
        _wait(ends, JOBS)
        finished = (JOBS - before) / (time.perf_counter() - began)
        body = {"clips": [{"text": f"number {number}"} for number in range(BATCH)]}
        began = time.perf_counter()
        asyncio.run(post(path, HEAD, iter([body]), 1))
        _wait(ends, JOBS + 1)
        return accepted, finished, BATCH / (time.perf_counter() - began)


class NeverReady:
    """An engine that goes on loading, so that jobs wait."""

    def load(self) -> None:
        time.sleep(3600)


def _wait(ends: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while _count(ends) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{_count(ends)} of {count} jobs were finished")
        time.sleep(0.02)


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


@contextlib.contextmanager
def _server(directory: Path, engine: str, ready: bool = True) -> Generator[Path]:
    keys, path = directory / "keys.json", directory / f"{engine.rpartition(':')[2]}.sock"
    keys.touch(mode=0o600)
    keys.write_text(json.dumps({"bench": KEY}))
    (directory / "store").mkdir(exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPEECH_")},
        "SPEECH_LISTEN": f"unix:{path}",
        "SPEECH_ENGINE": engine,
        "SPEECH_API_KEYS_FILE": str(keys),
        "SPEECH_STORE": f"file://{directory / 'store'}",
        "SPEECH_QUEUE": f"sqlite:///{directory / 'queue.sqlite'}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "inference")]),
    }
    request = f"GET {'/readyz' if ready else '/healthz'} HTTP/1.1\r\nHost: bench\r\n\r\n"
    with process([sys.executable, "-m", "speech_server", "serve"], environment):
        until(lambda: b" 200 " in asyncio.run(answer(path, request)))
        yield path
