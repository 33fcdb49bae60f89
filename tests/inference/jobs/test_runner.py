"""When messages are taken, how long they are kept, and how they are let go."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from speech_server.jobs.runner import Runner, may_go_on_until
from speech_server.jobs.work import Fate, Verdict, Work
from speech_server.lane import Lane
from speech_server.queues.base import Message
from speech_server.queues.sqlite import SqliteQueue

PLACES = 3


class Bench:
    """A runner with a queue in a file; `work` says what becomes of each message."""

    def __init__(self, folder: Path, lease_seconds: int = 60) -> None:
        self.queue = SqliteQueue(folder / "queue.sqlite")
        self.wanted = True
        self.begun: list[str] = []
        self.expected: dict[str, float] = {}  # message -> seconds of the engine, which has begun with it
        self.gate = asyncio.Event()
        self.needs_engine = True
        self.verdict = Verdict(Fate.DONE)
        lane = cast(Lane, self)
        self.runner = Runner(self.queue, cast(Work, self), lane, lambda: self.wanted, lease_seconds, poll_seconds=0.2)

    batch_room = PLACES

    async def do(self, message: Message, spoken: Callable[[], None], begun: Callable[[float], None]) -> Verdict:
        self.begun.append(message.body)
        if message.body in self.expected:
            begun(self.expected[message.body])
        if not self.needs_engine:
            spoken()
        await self.gate.wait()
        return self.verdict


async def soon(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def run(folder: Path, test: Callable[[Bench], Awaitable[None]], lease_seconds: int = 60) -> None:
    async def whole() -> None:
        bench = Bench(folder, lease_seconds)
        bench.runner.start()
        try:
            await test(bench)
        finally:
            await bench.runner.stop()
            assert bench.runner.in_hand == 0
            await bench.queue.close()

    asyncio.run(whole())


class TestTaking:
    def test_no_more_than_the_engine_can_do_soon(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            await bench.queue.send([str(number) for number in range(10)])
            await soon(lambda: len(bench.begun) == PLACES)
            await asyncio.sleep(0.3)  # longer than a poll: nothing more is taken
            assert len(bench.begun) == PLACES
            assert (await bench.queue.depth()).waiting == 10 - PLACES
            bench.gate.set()
            await soon(lambda: len(bench.begun) == 10)

        run(tmp_path, test)

    def test_what_is_spoken_leaves_its_place_while_it_is_written_down(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            bench.needs_engine = False
            await bench.queue.send([str(number) for number in range(10)])
            await soon(lambda: len(bench.begun) == 10)

        run(tmp_path, test)

    def test_nothing_while_nothing_is_wanted(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            bench.wanted = False
            await asyncio.sleep(0.3)  # the poll that was under way has ended
            await bench.queue.send(["one"])
            await asyncio.sleep(0.3)
            assert bench.begun == []
            bench.wanted = True
            await soon(lambda: bench.begun == ["one"])

        run(tmp_path, test)

    def test_after_a_failure_it_pauses_and_goes_on(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            bench.verdict = Verdict(Fate.GIVE_BACK)
            bench.gate.set()
            await bench.queue.send(["one"])
            await soon(lambda: len(bench.begun) == 2)
            await asyncio.sleep(0.3)
            assert len(bench.begun) <= 4  # and not hundreds
            bench.verdict = Verdict(Fate.DONE)
            count = len(bench.begun)
            await soon(lambda: len(bench.begun) > count)
            await soon(lambda: bench.runner.in_hand == 0)
            assert (await bench.queue.depth()).waiting == 0

        run(tmp_path, test)


class TestKeeping:
    def test_a_lease_is_extended_as_long_as_the_work_takes(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            await bench.queue.send(["long"])
            await soon(lambda: bench.begun)
            other = SqliteQueue(tmp_path / "queue.sqlite")
            assert await other.receive(1, 3, 60) == []  # three times the lease
            await other.close()
            bench.gate.set()

        run(tmp_path, test, lease_seconds=1)

    def test_work_on_a_message_that_another_server_has_is_stopped(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            await bench.queue.send(["lost"])
            await soon(lambda: bench.runner.in_hand)
            await bench.queue._write(lambda file: file.execute("UPDATE messages SET receipt = 'other'").rowcount)
            await soon(lambda: bench.runner.in_hand == 0)
            assert (await bench.queue.depth()).in_flight == 1  # the other server's, untouched

        run(tmp_path, test, lease_seconds=1)


class TestEnding:
    def test_what_is_in_hand_is_given_back_at_once_and_not_counted(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            await bench.queue.send(["one", "two"])
            await soon(lambda: len(bench.begun) == 2)
            await bench.runner.stop()
            found = await bench.queue.receive(10, 0, 60)
            assert [(message.body, message.tries) for message in found] == [("one", 1), ("two", 1)]

        run(tmp_path, test)


class TestDraining:
    @pytest.mark.parametrize(
        ("begun", "expected_seconds", "spoken", "until"),
        [
            pytest.param(None, math.inf, False, 100, id="waits for the engine: back at once"),
            pytest.param(95.0, 20.0, False, 135, id="will be done in time: twice what it should take"),
            pytest.param(95.0, 300.0, False, 100, id="will not be done in time: back at once"),
            pytest.param(95.0, math.inf, False, 100, id="nobody knows: back at once"),
            pytest.param(50.0, 20.0, False, 100, id="took more than twice as long already: back at once"),
            pytest.param(140.0, 19.0, False, 160, id="never beyond the end"),
            pytest.param(95.0, math.inf, True, 105, id="spoken: it is written down"),
        ],
    )
    def test_what_goes_on(self, begun: float | None, expected_seconds: float, spoken: bool, until: float) -> None:
        assert may_go_on_until(100, 160, begun, expected_seconds, spoken) == until

    def test_what_cannot_be_finished_is_there_for_others_at_once_and_uncounted(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            bench.expected = {"short": 30.0, "long": 500.0}
            await bench.queue.send(["short", "long", "waits"])
            await soon(lambda: len(bench.begun) == 3)
            bench.wanted = False
            bench.runner.drain(time.monotonic() + 60)
            other = SqliteQueue(tmp_path / "queue.sqlite")
            found = [*await other.receive(10, 10, 60), *await other.receive(10, 1, 60)]
            assert [(message.body, message.tries) for message in found] == [("long", 1), ("waits", 1)]
            assert bench.runner.in_hand == 1
            bench.gate.set()
            await soon(lambda: bench.runner.in_hand == 0)
            depth = await other.depth()
            assert (depth.waiting, depth.in_flight) == (0, 2)  # "short" is done and gone
            await other.close()

        run(tmp_path, test)

    def test_a_shorter_notice_takes_back_what_the_longer_one_allowed(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            bench.expected = {"short": 30.0}
            await bench.queue.send(["short"])
            await soon(lambda: bench.begun)
            bench.wanted = False
            bench.runner.drain(time.monotonic() + 60)
            assert bench.runner.in_hand == 1
            bench.runner.drain(time.monotonic() + 2)
            other = SqliteQueue(tmp_path / "queue.sqlite")
            assert [message.tries for message in await other.receive(1, 10, 60)] == [1]
            await other.close()
            await soon(lambda: bench.runner.in_hand == 0)

        run(tmp_path, test)

    def test_what_is_spoken_at_the_end_of_its_time_is_still_written_down(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            bench.expected = {"clip": 0.1}
            await bench.queue.send(["clip"])
            await soon(lambda: bench.begun)
            bench.wanted = False
            bench.runner.drain(time.monotonic() + 60)
            (held,) = bench.runner._held
            bench.runner._mark_spoken(held)
            await asyncio.sleep(0.5)  # longer than twice what the engine should have taken
            assert bench.runner.in_hand == 1
            bench.gate.set()
            await soon(lambda: bench.runner.in_hand == 0)
            depth = await bench.queue.depth()
            assert (depth.waiting, depth.in_flight) == (0, 0)

        run(tmp_path, test)

    def test_back_in_service_nothing_is_taken_away_later(self, tmp_path: Path) -> None:
        async def test(bench: Bench) -> None:
            bench.expected = {"short": 0.1}
            await bench.queue.send(["short"])
            await soon(lambda: bench.begun)
            bench.runner.drain(time.monotonic() + 60)
            bench.runner.undrain()
            await asyncio.sleep(0.5)  # longer than the drain would have allowed
            assert bench.runner.in_hand == 1
            bench.gate.set()
            await soon(lambda: bench.runner.in_hand == 0)
            assert (await bench.queue.depth()).waiting == 0

        run(tmp_path, test)
