"""What a second engine process in one server is worth, by an engine that takes its time by the clock."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
from pathlib import Path

from tools.bench.figures import Row, ratio
from tools.bench.server import CONNECTIONS, HEAD, server
from tools.bench.timed_engine import CALL_SECONDS
from tools.bench.wire import post

REQUESTS = 60
ROUNDS = 3
ENGINE = "tools.bench.timed_engine:TimedEngine"


def measure() -> list[Row]:
    seeds = itertools.count()

    def rate(path: Path) -> float:
        bodies = ({"text": "hello", "seed": next(seeds)} for _ in range(REQUESTS))
        count, taken = asyncio.run(post(path, HEAD, bodies, CONNECTIONS))
        return count / taken

    with tempfile.TemporaryDirectory(prefix="indextts2-bench-") as name:
        directory = Path(name)
        with server(directory, ENGINE, engines=1) as one, server(directory, ENGINE, engines=2) as two:
            rate(one), rate(two)
            pairs = [(rate(two), rate(one)) for _ in range(ROUNDS)]
    both, single = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    rates = f"{statistics.median(both):.1f} to {statistics.median(single):.1f} clips/s"
    return [
        Row("two engines in one server", f"{ratio(both, single):.2f}x one ({rates})", "at least 1.9x"),
        Row("  one, of what it could alone", f"{statistics.median(single) * CALL_SECONDS:.2f}x"),
    ]
