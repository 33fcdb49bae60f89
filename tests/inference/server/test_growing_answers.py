"""An answer that is shared while it grows: read by many, left by some, kept at its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from speech_server.answers import Answer, GrowingAnswer
from speech_server.dedup import JOINED, RUN, STORED, Begin, Dedup, KeyReusedError


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Maker:
    """Begins, and adds a piece each time that it is told to, until it is told to end or to fail."""

    def __init__(self) -> None:
        self.runs = 0
        self.cancelled = 0
        self.told: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    async def __call__(self, begin: Begin) -> Answer:
        self.runs += 1
        growing = None
        try:
            while (told := await self.told.get()) is not None:
                if isinstance(told, Exception):
                    raise told
                if growing is None:
                    growing = GrowingAnswer("audio/wav", (("X-Engine", "test"),))
                    begin(growing)
                growing.add(told)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Answer(b"" if growing is None else growing.body, "audio/wav", (), 1.0)


def run(scenario: Callable[[Dedup, Maker], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario(Dedup(), Maker())

    asyncio.run(whole())


async def read(growing: Answer | GrowingAnswer) -> bytes:
    assert isinstance(growing, GrowingAnswer)
    return b"".join([piece async for piece in growing.read()])


class TestReading:
    def test_everybody_has_all_of_it(self) -> None:
        async def scenario() -> None:
            growing = GrowingAnswer("audio/wav", ())
            early = asyncio.create_task(read(growing))
            growing.add(b"one")
            await settle()
            middle = asyncio.create_task(read(growing))
            growing.add(b"two")
            growing.add(b"three")
            await settle()
            assert not early.done()
            growing.finish(Answer(growing.body, "audio/wav", ()))
            late = asyncio.create_task(read(growing))
            assert await asyncio.gather(early, middle, late) == [b"onetwothree"] * 3

        asyncio.run(scenario())

    def test_a_failure_comes_after_what_is_there(self) -> None:
        async def scenario() -> None:
            growing = GrowingAnswer("audio/wav", ())
            growing.add(b"one")
            growing.fail(RuntimeError("no more"))
            found = []
            with pytest.raises(RuntimeError, match="no more"):
                async for piece in growing.read():
                    found.append(piece)  # noqa: PERF401 - the failure ends it
            assert found == [b"one"]

        asyncio.run(scenario())


class TestSharing:
    def test_who_joins_is_given_the_same(self) -> None:
        async def scenario(dedup: Dedup, maker: Maker) -> None:
            with contextlib.ExitStack() as leaving:
                waiting = [asyncio.create_task(dedup.growing(b"k", maker, leaving)) for _ in range(2)]
                maker.told.put_nowait(b"one")
                (first, how), (second, other) = await asyncio.gather(*waiting)
                third, late = await dedup.growing(b"k", maker, leaving)
                assert first is second is third
                assert (how, other, late) == (RUN, JOINED, JOINED)
                maker.told.put_nowait(None)
                assert await read(first) == b"one"
            assert maker.runs == 1
            found, how = await dedup.growing(b"k", maker, leaving)
            assert (found, how) == (Answer(b"one", "audio/wav", (), 1.0), STORED)

        run(scenario)

    def test_one_that_is_whole_at_once_is_an_answer(self) -> None:
        async def scenario(dedup: Dedup, maker: Maker) -> None:
            maker.told.put_nowait(None)
            with contextlib.ExitStack() as leaving:
                found, _ = await dedup.growing(b"k", maker, leaving)
            assert isinstance(found, Answer)

        run(scenario)

    def test_the_last_who_leaves_cancels_it(self) -> None:
        async def scenario(dedup: Dedup, maker: Maker) -> None:
            stacks = [contextlib.ExitStack() for _ in range(3)]
            maker.told.put_nowait(b"one")
            for stack in stacks[:2]:
                await dedup.growing(b"k", maker, stack)
            giving_up = asyncio.create_task(dedup.growing(b"k", maker, stacks[2]))
            await asyncio.sleep(0)
            giving_up.cancel()  # in the very moment in which it is given the answer
            with contextlib.suppress(asyncio.CancelledError):
                await giving_up
            for stack in stacks:
                await settle()
                assert not maker.cancelled
                stack.close()
            await settle()
            assert maker.cancelled == 1
            maker.told.put_nowait(b"again")
            with contextlib.ExitStack() as leaving:
                assert (await dedup.growing(b"k", maker, leaving))[1] == RUN

        run(scenario)

    def test_leaving_after_the_end_cancels_nothing(self) -> None:
        async def scenario(dedup: Dedup, maker: Maker) -> None:
            maker.told.put_nowait(b"one")
            with contextlib.ExitStack() as leaving:
                await dedup.growing(b"k", maker, leaving)
                maker.told.put_nowait(None)
                await settle()
            await settle()
            assert not maker.cancelled
            with contextlib.ExitStack() as leaving:
                assert (await dedup.growing(b"k", maker, leaving))[1] == STORED

        run(scenario)


class TestFailures:
    def test_after_the_beginning_readers_are_told_and_nothing_is_kept(self) -> None:
        async def scenario(dedup: Dedup, maker: Maker) -> None:
            maker.told.put_nowait(b"one")
            with contextlib.ExitStack() as leaving:
                found, _ = await dedup.growing(b"k", maker, leaving, "client", "name")
                maker.told.put_nowait(RuntimeError("broken"))
                with pytest.raises(RuntimeError, match="broken"):
                    await read(found)
            # the name is free for another request, and the same request runs again
            maker.told.put_nowait(None)
            with contextlib.ExitStack() as leaving:
                assert (await dedup.growing(b"other", maker, leaving, "client", "name"))[1] == RUN
            assert maker.runs == 2

        run(scenario)

    def test_before_the_beginning_it_is_raised(self) -> None:
        async def scenario(dedup: Dedup, maker: Maker) -> None:
            maker.told.put_nowait(RuntimeError("broken"))
            with contextlib.ExitStack() as leaving, pytest.raises(RuntimeError, match="broken"):
                await dedup.growing(b"k", maker, leaving)

        run(scenario)

    def test_a_name_that_means_another_request(self) -> None:
        async def scenario(dedup: Dedup, maker: Maker) -> None:
            maker.told.put_nowait(b"one")
            with contextlib.ExitStack() as leaving:
                await dedup.growing(b"k", maker, leaving, "client", "name")
                with pytest.raises(KeyReusedError):
                    await dedup.growing(b"other", maker, leaving, "client", "name")

        run(scenario)
