"""What the server adds to the engine's own time, and what it gets through against a bare route."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

import psutil

from speech_server.engines import make_engine
from speech_server.engines.base import Utterance
from tools.bench.figures import Row, ratio
from tools.bench.wire import post

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "inference")])
INSTANT = "tools.bench.instant_engine:InstantEngine"
KEY = "of-this-measurement-" + "0" * 32
HEAD = (
    "POST /generate HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    f"Authorization: Bearer {KEY}\r\n"
)  # fmt: skip
# Two seconds of speech: an ordinary clip of dubbing.
TEXT = "你好, and welcome to the show, 我们现在开始。"
LATENCY_RUNS = 200
REQUESTS = 3000
CONNECTIONS = 16
ROUNDS = 5
HUNDREDTH = 100
MANY = 20_000


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="indextts2-bench-") as name:
        directory = Path(name)
        return [*latency(directory), *throughput(directory), *endurance(directory)]


def latency(directory: Path) -> list[Row]:
    """The same text by the engine in this process and through the server, in turn; each request is a new one."""
    engine = make_engine("espeak")
    engine.load()
    utterance = Utterance(TEXT, None, None, None, None, None, None, False)
    direct, served = [], []
    with server(directory, "espeak") as path:
        # A repeated request would be answered without the engine: the seed makes each a new one.
        bodies = ({"text": TEXT, "seed": seed} for seed in itertools.count())

        async def run() -> None:
            for counted in [False] * 10 + [True] * LATENCY_RUNS:
                began = time.perf_counter()
                engine.speak(utterance, lambda: False)
                middle = time.perf_counter()
                await post(path, HEAD, itertools.islice(bodies, 1), 1)
                if counted:
                    direct.append(middle - began)
                    served.append(time.perf_counter() - middle)

        asyncio.run(run())
    added = statistics.median(b - a for a, b in zip(direct, served, strict=True))
    return [
        Row("/generate, median added latency", f"{added * 1000:.1f} ms", "at most 5 ms"),
        Row(
            "  the engine alone, the whole request",
            " and ".join(f"{statistics.median(t) * 1000:.1f} ms" for t in (direct, served)),
        ),
    ]


def throughput(directory: Path) -> list[Row]:
    """Requests per second with an engine that takes no time, against two bare routes, in turn."""
    seeds = itertools.count()

    def rate(path: Path) -> float:
        bodies = ({"text": "hello", "seed": next(seeds)} for _ in range(REQUESTS))
        count, taken = asyncio.run(post(path, HEAD, bodies, CONNECTIONS))
        return count / taken

    with server(directory, INSTANT) as ours, bare(directory) as theirs, bare(directory, INSTANT) as asking:
        rate(ours), rate(theirs), rate(asking)
        rounds = [(rate(ours), rate(theirs), rate(asking)) for _ in range(ROUNDS)]
    served, bare_rate, asking_rate = ([each[place] for each in rounds] for place in range(3))
    rates = [f"{statistics.median(each):.0f}" for each in (served, bare_rate, asking_rate)]
    return [
        Row(
            "/generate with an instant engine",
            f"{ratio(served, bare_rate):.2f}x a bare route ({rates[0]} to {rates[1]} requests/s)",
            "at least 0.6x",
        ),
        Row(
            "  against a bare route that asks the same engine process",
            f"{ratio(served, asking_rate):.2f}x ({rates[2]} requests/s)",
        ),
    ]


def endurance(directory: Path) -> list[Row]:
    """How a fresh server's first request compares to its hundredth, and what it holds after many."""
    bodies = ({"text": TEXT, "seed": seed} for seed in itertools.count())

    async def one(path: Path) -> float:
        return (await post(path, HEAD, itertools.islice(bodies, 1), 1))[1]

    async def many(path: Path) -> None:
        await post(path, HEAD, itertools.islice(bodies, MANY), CONNECTIONS)

    with server(directory, "espeak") as path:
        times = [asyncio.run(one(path)) for _ in range(HUNDREDTH + 20)]
    with server(directory, INSTANT) as path:
        running = psutil.Process().children()[-1]
        # Answers are kept for a while, up to a limit, and the first round fills that memory.
        asyncio.run(many(path))
        before = running.memory_info().rss
        asyncio.run(many(path))
        grown = running.memory_info().rss - before
    hundredth = statistics.median(times[HUNDREDTH - 20 :])
    return [
        Row("first request to espeak, against the hundredth", f"{times[0] / hundredth:.1f}x", "at most 2x"),
        Row(f"memory grown in {MANY:,} more requests", f"{grown / 2**20:.1f} MiB", "flat"),
    ]


@contextlib.contextmanager
def server(directory: Path, engine: str, engines: int = 1) -> Generator[Path]:
    """A server with so many processes of this engine, each of them ready; its socket."""
    keys, path = directory / "keys.json", directory / f"{len(list(directory.iterdir()))}.sock"
    keys.touch(mode=0o600)
    keys.write_text(json.dumps({"bench": KEY}))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPEECH_")},
        "SPEECH_LISTEN": f"unix:{path}",
        "SPEECH_ENGINE": engine,
        "SPEECH_ENGINES": str(engines),
        "SPEECH_API_KEYS_FILE": str(keys),
        "PYTHONPATH": PYTHONPATH,
    }
    with process([sys.executable, "-m", "speech_server", "serve"], environment):
        until(lambda: states(path) == ["ready"] * engines)
        yield path


@contextlib.contextmanager
def bare(directory: Path, *engine: str) -> Generator[Path]:
    """The bare route's server, ready; its socket. With an `engine`, the route asks that."""
    path = directory / f"bare{len(engine)}.sock"
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    with process([sys.executable, str(Path(__file__).with_name("bare_app.py")), str(path), *engine], environment):
        until(lambda: b"HTTP/1.1" in asyncio.run(answer(path, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n")))
        yield path


@contextlib.contextmanager
def process(command: list[str], environment: dict[str, str]) -> Generator[None]:
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield
        finally:
            running.terminate()


def states(path: Path) -> list[str]:
    """Of the server's engines; none while nobody listens."""
    request = "GET /healthz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    body = asyncio.run(answer(path, request, whole=True)).partition(b"\r\n\r\n")[2]
    return json.loads(body)["engines"] if body else []


async def answer(path: Path, request: str, whole: bool = False) -> bytes:
    """The status line of an answer, or the `whole` until its end; b"" while nobody listens."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return b""
    writer.write(request.encode())
    found = await (reader.read() if whole else reader.readline())
    writer.close()
    return found


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the server did not get ready")
        time.sleep(0.05)
