"""What only the file does: many servers, power cuts, and what people do to files."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from speech_server.queues.base import QueueError
from speech_server.queues.sqlite import SqliteQueue


def with_queue(path: Path, test: Callable[[SqliteQueue], Awaitable[None]]) -> None:
    async def whole() -> None:
        queue = SqliteQueue(path)
        try:
            await test(queue)
        finally:
            await queue.close()

    asyncio.run(whole())


class TestTheFile:
    def test_it_is_its_owners_alone_and_written_to_the_disk(self, tmp_path: Path) -> None:
        path = tmp_path / "q.sqlite"

        async def test(queue: SqliteQueue) -> None:
            await queue.send(["one"])

        with_queue(path, test)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        file = sqlite3.connect(path)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        file.close()

    def test_what_was_sent_is_there_after_a_restart(self, tmp_path: Path) -> None:
        path = tmp_path / "q.sqlite"

        async def send(queue: SqliteQueue) -> None:
            await queue.send(["one", "two"])
            await queue.receive(1, 0, 600)

        async def look(queue: SqliteQueue) -> None:
            depth = await queue.depth()
            assert (depth.waiting, depth.in_flight) == (1, 1)

        with_queue(path, send)
        with_queue(path, look)

    def test_a_file_that_is_something_else_is_told_and_not_touched(self, tmp_path: Path) -> None:
        path = tmp_path / "q.sqlite"
        path.write_bytes(b"a letter to somebody " * 100)

        async def test(queue: SqliteQueue) -> None:
            with pytest.raises(QueueError, match=r"q.sqlite cannot be used"):
                await queue.send(["one"])

        with_queue(path, test)
        assert path.read_bytes().startswith(b"a letter")

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "q.sqlite").symlink_to(tmp_path / "other")

        async def test(queue: SqliteQueue) -> None:
            with pytest.raises(QueueError):
                await queue.send(["one"])

        with_queue(tmp_path / "q.sqlite", test)

    def test_a_file_that_was_replaced_is_opened_again(self, tmp_path: Path) -> None:
        path = tmp_path / "q.sqlite"

        async def test(queue: SqliteQueue) -> None:
            await queue.send(["into the old one"])
            for file in list(tmp_path.iterdir()):
                file.rename(tmp_path / f"{file.name}.old")
            with pytest.raises(QueueError):
                await queue.send(["into nothing"])
            await queue.send(["into the new one"])
            assert [message.body for message in await queue.receive(10, 0, 60)] == ["into the new one"]

        with_queue(path, test)

    def test_a_missing_folder_is_told_and_heals(self, tmp_path: Path) -> None:
        folder = tmp_path / "later"

        async def test(queue: SqliteQueue) -> None:
            with pytest.raises(QueueError):
                await queue.depth()
            folder.mkdir()
            await queue.send(["one"])
            assert len(await queue.receive(10, 0, 60)) == 1

        with_queue(folder / "q.sqlite", test)


class TestFault:
    def test_a_call_that_fails_by_a_fault_of_ours_is_told_and_the_next_is_served(self, tmp_path: Path) -> None:
        def clock() -> float:
            faults.append(1 / len(faults))
            return 1.0

        async def test() -> None:
            queue = SqliteQueue(tmp_path / "q.sqlite", clock)
            with pytest.raises(QueueError, match=r"q.sqlite cannot be used: ZeroDivisionError"):
                await asyncio.wait_for(queue.receive(1, 0, 30), 30)
            faults.append(1.0)
            await queue.send(["one"])
            assert [message.body for message in await queue.receive(1, 0, 30)] == ["one"]
            await queue.close()

        faults: list[float] = []
        asyncio.run(test())


class TestManyServers:
    def test_two_share_a_file_and_no_message(self, tmp_path: Path) -> None:
        path = tmp_path / "q.sqlite"

        async def test(first: SqliteQueue) -> None:
            second = SqliteQueue(path)
            await asyncio.gather(*(queue.send([str(n)]) for n, queue in enumerate([first, second] * 100)))
            found: list[str] = []
            while messages := (await asyncio.gather(first.receive(7, 0, 60), second.receive(7, 0, 60))):
                bodies = [message.body for taken in messages for message in taken]
                if not bodies:
                    break
                found += bodies
            assert sorted(found) == sorted(str(n) for n in range(200))
            await second.close()

        with_queue(path, test)

    def test_another_servers_message_wakes_an_idle_one(self, tmp_path: Path) -> None:
        path = tmp_path / "q.sqlite"

        async def test(first: SqliteQueue) -> None:
            second = SqliteQueue(path)
            waiting = asyncio.create_task(first.receive(1, 20, 60))
            await asyncio.sleep(0)
            await second.send(["for whoever is first"])
            assert len(await asyncio.wait_for(waiting, 5)) == 1
            await second.close()

        with_queue(path, test)

    def test_the_first_come_are_the_first_served(self, tmp_path: Path) -> None:
        async def test(queue: SqliteQueue) -> None:
            for number in range(12):
                await queue.send([str(number)])
            found = await queue.receive(5, 0, 60)
            await queue.give_back(found[0])  # what is given back is first in line again
            again = await queue.receive(10, 0, 60)
            assert [message.body for message in found] == ["0", "1", "2", "3", "4"]
            assert [message.body for message in again] == ["0", *map(str, range(5, 12))]

        with_queue(tmp_path / "q.sqlite", test)

    def test_calls_in_hundreds_at_once(self, tmp_path: Path) -> None:
        async def test(queue: SqliteQueue) -> None:
            await asyncio.gather(*(queue.send([str(number)]) for number in range(600)))
            assert (await queue.depth()).waiting == 600

        with_queue(tmp_path / "q.sqlite", test)

    def test_after_its_end_it_says_so(self, tmp_path: Path) -> None:
        async def test() -> None:
            queue = SqliteQueue(tmp_path / "q.sqlite")
            await queue.close()
            with pytest.raises(QueueError, match="closed"):
                await queue.send(["late"])

        asyncio.run(test())
