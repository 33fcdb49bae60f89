"""The log in the store: what is in which object, and what an outage costs."""

from __future__ import annotations

import asyncio
import gzip
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from speech_server import log_objects
from speech_server.log_objects import LogObjects
from speech_server.node_name import node_name
from speech_server.storage.open_store import open_store
from speech_server.storage.store import Store, StoreError
from tests.inference.storage.failing_store import FailingStore

TEN = datetime(2026, 11, 23, 10, 59, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = TEN

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store", "")


async def contents(store: Store) -> dict[str, str]:
    return {entry.key: gzip.decompress(await store.get(entry.key)).decode() async for entry in store.list("logs/")}


class TestObjects:
    def test_an_hour_is_an_object_that_grows(self, store: Store) -> None:
        async def scenario() -> None:
            clock = Clock()
            logs = LogObjects(store, "node-1", clock)
            logs.add("one\n")
            await logs.keep()
            await logs.keep()
            logs.add("two\n")
            logs.add("three\n")
            await logs.keep()
            clock.now += timedelta(minutes=1)
            logs.add("four\n")
            await logs.close()
            assert await contents(store) == {
                "logs/2026/11/23/10/node-1.jsonl.gz": "one\ntwo\nthree\n",
                "logs/2026/11/23/11/node-1.jsonl.gz": "four\n",
            }

        asyncio.run(scenario())

    def test_a_large_hour_is_several_objects(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(log_objects, "_OBJECT_BYTES", 10)

        async def scenario() -> None:
            logs = LogObjects(store, "n", Clock())
            for word in ("one\n", "two\n", "three\n"):
                logs.add(word)
                await logs.keep()
            folder = "logs/2026/11/23/10/"
            assert await contents(store) == {
                f"{folder}n.jsonl.gz": "one\n",
                f"{folder}n-2.jsonl.gz": "two\n",
                f"{folder}n-3.jsonl.gz": "three\n",
            }

        asyncio.run(scenario())


class TestOutage:
    def test_lines_wait_in_order(self, store: Store) -> None:
        async def scenario() -> None:
            logs = LogObjects(FailingStore(), "n", Clock())
            logs.add("one\n")
            with pytest.raises(StoreError):
                await logs.keep()
            logs.add("two\n")
            logs._store = store
            await logs.keep()
            assert list((await contents(store)).values()) == ["one\ntwo\n"]

        asyncio.run(scenario())

    def test_what_is_cancelled_in_the_middle_is_written_at_the_end(self, store: Store) -> None:
        async def scenario() -> None:
            logs = LogObjects(store, "n", Clock())
            logs.add("one\n")
            writing = asyncio.create_task(logs.keep())
            await asyncio.sleep(0)
            writing.cancel()
            await logs.close()
            assert list((await contents(store)).values()) == ["one\n"]

        asyncio.run(scenario())

    def test_a_long_one_drops_the_oldest_and_says_so(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(log_objects, "_MAX_WAITING_BYTES", 30)

        async def scenario() -> None:
            logs = LogObjects(FailingStore(), "n", Clock())
            for number in range(10):
                logs.add(f"line {number}...\n")
                with pytest.raises(StoreError):
                    await logs.keep()
            logs._store = store
            await logs.keep()
            assert list((await contents(store)).values()) == ["line 7...\nline 8...\nline 9...\n"]

        asyncio.run(scenario())
        assert [record.__dict__["fields"] for record in caplog.records] == [{"bytes": 70}]


class TestNodeName:
    def test_it_is_harmless_and_of_this_start_only(self) -> None:
        first, second = (node_name("../replica 1/é", TEN) for _ in range(2))
        assert first != second
        assert first.startswith("replica-1-20261123T105900Z-")
        assert node_name("", TEN)
        assert node_name("///", TEN).startswith("server-")
