"""How fast weights come out of a store: `pull` (read, verified, written) against a plain parallel read of the same.

The store is a server on this machine that is asked as S3 is asked: on a line of 2.5 Gbit/s, and as fast as this
machine's memory, which no bucket is. It is written to memory and to this machine's disk, which may be the slower of the
two. The plain read has as many threads and as large parts, and throws away what it reads: no sums, nothing written. CPU
seconds say what a machine with more or fewer cores would do.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore

from speech_server.engines.indextts2.weights import required_files
from speech_server.storage.open_store import open_store
from speech_server.weights.claim import Pace
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.manifest import Manifest
from speech_server.weights.place import FOLDER, open_place
from speech_server.weights.progress import Progress
from speech_server.weights.pull import THREADS, pull
from speech_server.weights.push import push
from tools.bench.figures import Row, ratio, seconds

# Shares of the whole, about those of the real set: its largest file decides how well the work is spread.
_SHARES = {"gpt.pth": 0.4, "s2mel.pth": 0.25, "hf_cache/w2v-bert-2.0/model.safetensors": 0.25, "codec.pth": 0.1}
_SIZE = 2 << 30
_RUNS = 3
_MEMORY = "/dev/shm"  # noqa: S108 - Linux's file system in memory; the folder in it has a name of its own
# A tenth of what a g4dn.xlarge has at its best (https://aws.amazon.com/ec2/instance-types/g4/): what two cores sustain.
_LINE = 312
_NAME = "bench"


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="indextts2-bench-") as name:
        folder = Path(name)
        _write_set(folder / "source", _SIZE)
        store = folder / "store" / "bench"
        place = open_place(store.as_uri(), _NAME)
        listed = push(place, WeightsFolder(folder / "source"), None, _silent(), threading.Event(), Pace())
        place.close()
        shutil.rmtree(folder / "source")
        rows = []
        for megabytes, what, memory, limit in (
            (_LINE, f"from a line of {_LINE} MB/s into memory", True, "at least 0.9x"),
            (_LINE, f"from a line of {_LINE} MB/s onto this disk", False, ""),
            (0, "from memory into memory", True, ""),
        ):
            with (
                _served(store.parent, megabytes) as endpoint,
                tempfile.TemporaryDirectory(prefix="indextts2-bench-", dir=_MEMORY if memory else None) as target,
            ):
                url = f"s3://bench?region=us-west-2&endpoint={endpoint}"
                rows += _rows(what, url, listed, Path(target) / "weights", limit)
        return rows


def _rows(what: str, url: str, listed: Manifest, target: Path, limit: str) -> list[Row]:
    place = open_place(url, _NAME)
    cpu = {"ours": 0.0, "plain": 0.0}

    def ours() -> None:
        before = time.process_time()
        pull(place, WeightsFolder(target), _silent(), threading.Event(), durable=False)
        cpu["ours"] = time.process_time() - before

    def plain() -> None:
        before = time.process_time()
        _read_plainly(url, listed)
        cpu["plain"] = time.process_time() - before

    try:
        pulled, read = [], []
        for _ in range(1 + _RUNS):  # the first is not counted
            shutil.rmtree(target, ignore_errors=True)  # of what was pulled before, which is no part of a pull
            pulled.append(seconds(ours))
            read.append(seconds(plain))
        del pulled[0], read[0]
    finally:
        place.close()
    speeds = [listed.size / statistics.median(times) / 1e6 for times in (pulled, read)]
    gigabytes = listed.size / 1e9
    return [
        Row(
            f"pull {gigabytes:.1f} GB {what}",
            f"{speeds[0]:.0f} MB/s, plain read {speeds[1]:.0f} MB/s: {1 / ratio(pulled, read):.2f}x",
            limit,
        ),
        Row(
            "  CPU seconds a GB",
            f"{cpu['ours'] / gigabytes:.2f}, plain read {cpu['plain'] / gigabytes:.2f}",
        ),
    ]


def _read_plainly(url: str, listed: Manifest) -> None:
    store = open_store(url, None)
    work = deque(
        (file.path, start, min(listed.part_bytes, file.size - start))
        for file in listed.files
        for start in range(0, file.size, listed.part_bytes)
    )

    def run() -> None:
        while True:
            try:
                path, start, length = work.popleft()
            except IndexError:
                return
            obstore.get_range(store.objects, f"{FOLDER}/{_NAME}/{path}", start=start, length=length)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(run) for _ in range(THREADS)]:
            done.result()
    store.close()


def _silent() -> Progress:
    return Progress(io.StringIO())


def _write_set(folder: Path, size: int) -> None:
    for path in required_files("2.5"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"version: 2.5\n")
    block = os.urandom(64 << 20)
    for path, share in _SHARES.items():
        with (folder / path).open("wb") as file:
            for number in range(int(size * share) >> 26):
                file.write(number.to_bytes(8, "big") + block[8:])


@contextlib.contextmanager
def _served(folder: Path, megabytes: int) -> Generator[str]:
    """The address at which a process of its own serves the folder's files, so many megabytes a second; 0: no limit."""
    os.environ.update(AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench")  # noqa: S106 - of no account
    command = [sys.executable, "-m", "tools.bench.range_server", str(folder), str(megabytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()
