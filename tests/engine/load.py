"""Requests in the background while a test changes or breaks the stack."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import httpx

from tests.engine.stack import LocalStack


class Load:
    """Speaks through the load balancer from `concurrency` clients until the block ends; each text is new.

    `failures` holds what a client would have seen go wrong; nothing here tries again.
    """

    def __init__(self, stack: LocalStack, concurrency: int = 8) -> None:
        self._client = stack.client()
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(concurrency)
        self._lock = threading.Lock()
        self.answered = 0
        self.failures: list[str] = []
        self._workers = [self._threads.submit(self._work) for _ in range(concurrency)]

    def __enter__(self) -> Load:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for worker in self._workers:
            worker.result()
        self._threads.shutdown()
        self._client.close()

    def _work(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            failure = self._speak(number)
            with self._lock:
                self.answered += 1
                if failure:
                    self.failures.append(f"request {number}: {failure}")

    def _speak(self, number: int) -> str | None:
        try:
            answer = self._client.post("/generate", json={"text": f"这是第{number}句话, number {number}."})
        except httpx.HTTPError as error:
            return repr(error)
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.text[:300]}"
        if answer.content[:4] != b"RIFF" or len(answer.content) < 10_000:
            return f"no audio: {len(answer.content)} bytes"
        return None
