"""What every queue does alike: the jobs rely on it and on nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from speech_server.queues.base import MAX_TRIES, Depth, Message, Queue

T = TypeVar("T")
LEASE = 30


async def soon(what: Callable[[], Awaitable[T]], seconds: float = 60.0) -> T:
    """What `what` gives as soon as it is truthy."""
    deadline = time.monotonic() + seconds
    while not (found := await what()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return found


def run(queue: Queue, test: Coroutine[Any, Any, None]) -> None:
    """The test and the queue's end in one event loop."""

    async def whole() -> None:
        try:
            await test
        finally:
            await queue.close()

    asyncio.run(whole())


async def receive_all(queue: Queue, count: int) -> list[Message]:
    found: list[Message] = []
    while len(found) < count:
        taken = await queue.receive(10, 2, LEASE)
        assert taken, f"{len(found)} of {count} messages came"
        found += taken
    return found


async def kill(queue: Queue) -> None:
    """Have the only message received by servers that die with it."""
    for tries in range(1, MAX_TRIES + 1):
        (message,) = await soon(lambda: queue.receive(1, 0, LEASE))
        assert message.tries == tries
        await queue.retry(message, 0)
    await soon(lambda: _is_dead(queue))


async def _is_dead(queue: Queue) -> bool:
    assert await queue.receive(1, 0, LEASE) == []
    return (await queue.depth()).dead == 1


class TestDelivery:
    def test_what_is_sent_is_received_once_and_gone_when_deleted(self, queue: Queue) -> None:
        async def test() -> None:
            bodies = [f'{{"number": {number}, "text": "<&>\\u4f60"}}' for number in range(35)]
            await queue.send(bodies)
            found = await receive_all(queue, 35)
            assert sorted(message.body for message in found) == sorted(bodies)
            assert {message.tries for message in found} == {1}
            assert len({message.id for message in found}) == 35
            assert await queue.receive(10, 0, LEASE) == []
            await asyncio.gather(*(queue.delete(message) for message in found))
            assert await queue.depth() == Depth(0, 0, 0, 0)

        run(queue, test())

    def test_a_waiting_receive_returns_when_something_comes(self, queue: Queue) -> None:
        async def test() -> None:
            waiting = asyncio.create_task(queue.receive(1, 15, LEASE))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await queue.send(["late"])
            (message,) = await waiting
            assert message.body == "late"
            assert time.monotonic() - began < 5

        run(queue, test())

    def test_a_delayed_message_comes_later(self, queue: Queue) -> None:
        async def test() -> None:
            await queue.send(["now", "now too"])
            await queue.send(["later"], 2)
            began = time.monotonic()
            assert {message.body for message in await receive_all(queue, 2)} == {"now", "now too"}
            depth = await queue.depth()
            assert (depth.delayed, depth.in_flight) == (1, 2)
            (message,) = await soon(lambda: queue.receive(1, 1, LEASE))
            assert message.body == "later"
            assert time.monotonic() - began > 1.5

        run(queue, test())

    def test_no_message_is_received_twice_by_many_at_once(self, queue: Queue) -> None:
        async def test() -> None:
            await queue.send([str(number) for number in range(60)])
            taken = await asyncio.gather(*(queue.receive(5, 1, LEASE) for _ in range(12)))
            found = [message.body for messages in taken for message in messages]
            assert len(found) == len(set(found))

        run(queue, test())


class TestLeases:
    def test_a_message_comes_again_when_its_lease_ends(self, queue: Queue) -> None:
        async def test() -> None:
            await queue.send(["one"])
            await queue.receive(1, 1, 1)
            (again,) = await soon(lambda: queue.receive(1, 0, LEASE))
            assert (again.body, again.tries) == ("one", 2)

        run(queue, test())

    def test_an_extended_one_does_not(self, queue: Queue) -> None:
        async def test() -> None:
            await queue.send(["one"])
            (message,) = await queue.receive(1, 1, 2)
            message = await queue.extend(message, LEASE)
            assert message is not None
            await asyncio.sleep(2.2)  # the first lease's end is what is tested
            assert await queue.receive(1, 0, LEASE) == []
            await queue.delete(message)
            assert await queue.depth() == Depth(0, 0, 0, 0)

        run(queue, test())

    def test_who_lost_a_message_learns_it_and_cannot_delete_it(
        self, queue: Queue, request: pytest.FixtureRequest
    ) -> None:
        if "sqs" in request.node.name:
            pytest.skip("SQS takes the old receipt as long as the message is there, and so may extend twice")

        async def test() -> None:
            await queue.send(["one"])
            (first,) = await queue.receive(1, 1, 1)
            (second,) = await soon(lambda: queue.receive(1, 0, LEASE))
            assert await queue.extend(first, LEASE) is None
            await queue.delete(first)
            await queue.retry(first, 0)
            assert (await queue.depth()).in_flight == 1
            await queue.delete(second)
            assert await queue.depth() == Depth(0, 0, 0, 0)

        run(queue, test())

    def test_a_message_that_is_gone_is_no_error(self, queue: Queue) -> None:
        async def test() -> None:
            await queue.send(["one"])
            (message,) = await queue.receive(1, 1, LEASE)
            await queue.delete(message)
            await queue.delete(message)
            await queue.retry(message, 0)
            assert await queue.extend(message, LEASE) is None

        run(queue, test())


class TestTries:
    def test_a_retry_is_counted_and_delayed(self, queue: Queue) -> None:
        async def test() -> None:
            await queue.send(["one"])
            (message,) = await queue.receive(1, 1, LEASE)
            await queue.retry(message, 2)
            assert await queue.receive(1, 0, LEASE) == []
            (again,) = await soon(lambda: queue.receive(1, 0, LEASE))
            assert again.tries == 2

        run(queue, test())

    def test_what_is_given_back_comes_at_once_and_is_not_counted(self, queue: Queue) -> None:
        async def test() -> None:
            await queue.send(["one"])
            for _ in range(MAX_TRIES + 2):
                (message,) = await queue.receive(1, 5, LEASE)
                assert (message.body, message.tries) == ("one", 1)
                await queue.give_back(message)
            assert (await queue.depth()).dead == 0

        run(queue, test())


class TestDeadLetters:
    def test_after_three_tries_it_is_listed_and_stays(self, queue: Queue) -> None:
        async def test() -> None:
            await queue.send(["poison"])
            await kill(queue)
            for _ in range(3):
                (letter,) = await soon(lambda: queue.dead_letters(10))
                assert (letter.body, letter.tries >= MAX_TRIES) == ("poison", True)
            assert (await queue.depth()).dead == 1
            assert await queue.receive(1, 0, LEASE) == []

        run(queue, test())

    def test_driven_again_it_has_all_its_tries(self, queue: Queue) -> None:
        async def test() -> None:
            await queue.send(["poison"])
            await kill(queue)
            (letter,) = await soon(lambda: queue.dead_letters(10))
            await queue.redrive(letter, "antidote")
            (message,) = await queue.receive(1, 5, LEASE)
            assert (message.body, message.tries) == ("antidote", 1)
            assert (await queue.depth()).dead == 0

        run(queue, test())

    def test_there_may_be_none(self, queue: Queue) -> None:
        async def test() -> None:
            assert await queue.dead_letters(10) == []

        run(queue, test())
