"""A load of POST requests over Unix sockets, cheap enough not to be what is measured."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path


async def post(path: Path, head: str, bodies: Iterator[dict], connections: int) -> tuple[int, float]:
    """Send every body, `connections` at a time, each connection kept open.

    Requests per run and seconds taken. Raises RuntimeError on an answer other than 200 and 202.
    """
    began = time.perf_counter()
    counts = await asyncio.gather(*(_client(path, head, bodies) for _ in range(connections)))
    return sum(counts), time.perf_counter() - began


async def _client(path: Path, head: str, bodies: Iterator[dict]) -> int:
    reader, writer = await asyncio.open_unix_connection(str(path))
    count = 0
    try:
        for body in bodies:
            content = json.dumps(body).encode()
            writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 20"):
                raise RuntimeError(answer.decode())
            await reader.readexactly(_length(answer))
            count += 1
    finally:
        writer.close()
    return count


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"no length in {head!r}")
