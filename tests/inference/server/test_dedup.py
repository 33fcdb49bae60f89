"""The same request is made once."""

from __future__ import annotations

import asyncio

import pytest

from speech_server.answers import Answer
from speech_server.dedup import JOINED, RUN, STORED, Dedup, KeyReusedError, fingerprint


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Maker:
    """Counts its runs; each waits for `finish`, then answers or fails."""

    def __init__(self, size: int = 10, failure: Exception | None = None) -> None:
        self.runs = 0
        self.cancelled = 0
        self.finish = asyncio.Event()
        self.size = size
        self.failure = failure

    async def __call__(self) -> Answer:
        self.runs += 1
        try:
            await self.finish.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return Answer(b"x" * self.size, "audio/wav", (("X-Engine", str(self.runs)),))


def done(size: int = 10) -> Maker:
    maker = Maker(size)
    maker.finish.set()
    return maker


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class TestSharing:
    def test_a_request_that_runs_is_joined(self) -> None:
        async def check() -> None:
            dedup, maker = Dedup(), Maker()
            waiting = [asyncio.create_task(dedup.answer("k", maker)) for _ in range(5)]
            await settle()
            maker.finish.set()
            answers = await asyncio.gather(*waiting)
            assert maker.runs == 1
            assert sorted(how for _, how in answers) == [JOINED] * 4 + [RUN]
            assert len({id(answer) for answer, _ in answers}) == 1

        asyncio.run(check())

    def test_it_is_cancelled_only_when_the_last_waiter_has_gone(self) -> None:
        async def check() -> None:
            dedup, maker = Dedup(), Maker()
            first, second = (asyncio.create_task(dedup.answer("k", maker)) for _ in range(2))
            await settle()
            first.cancel()
            await settle()
            assert maker.cancelled == 0
            second.cancel()
            await settle()
            assert maker.cancelled == 1

        asyncio.run(check())

    def test_after_a_cancel_the_request_runs_anew(self) -> None:
        async def check() -> None:
            dedup, maker = Dedup(), Maker()
            first = asyncio.create_task(dedup.answer("k", maker))
            await settle()
            first.cancel()
            await settle()
            answer, how = await dedup.answer("k", done())
            assert how == RUN
            assert answer.body == b"x" * 10

        asyncio.run(check())

    def test_a_failure_is_shared_and_not_stored(self) -> None:
        async def check() -> None:
            dedup, maker = Dedup(), Maker(failure=RuntimeError("no"))
            waiting = [asyncio.create_task(dedup.answer("k", maker)) for _ in range(3)]
            await settle()
            maker.finish.set()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(result) for result in results] == [RuntimeError] * 3
            assert (await dedup.answer("k", done()))[1] == RUN

        asyncio.run(check())


class TestStoring:
    def test_an_answer_is_repeated_for_ten_minutes(self) -> None:
        async def check() -> None:
            clock, maker = Clock(), done()
            dedup = Dedup(clock=clock)
            await dedup.answer("k", maker)
            clock.now = 599.9
            assert (await dedup.answer("k", maker))[1] == STORED
            clock.now = 600.0
            assert (await dedup.answer("k", maker))[1] == RUN
            assert maker.runs == 2

        asyncio.run(check())

    def test_bytes_are_bounded_and_the_least_recently_used_goes_first(self) -> None:
        async def check() -> None:
            dedup = Dedup(kept_bytes=100_000)
            for name in "abcd":
                await dedup.answer(name, done(20_000))
            await dedup.answer("a", done(20_000))  # used again
            await dedup.answer("e", done(20_000))
            hows = {name: (await dedup.answer(name, done(1)))[1] for name in "acde"}
            assert hows == dict.fromkeys("acde", STORED)
            assert (await dedup.answer("b", done(1)))[1] == RUN
            assert dedup.stored_bytes <= 100_000

        asyncio.run(check())

    def test_an_answer_that_would_push_out_most_others_is_not_kept(self) -> None:
        async def check() -> None:
            dedup = Dedup(kept_bytes=100_000)
            await dedup.answer("small", done(100))
            await dedup.answer("large", done(30_000))
            assert (await dedup.answer("large", done(1)))[1] == RUN
            assert (await dedup.answer("small", done(1)))[1] == STORED

        asyncio.run(check())

    def test_memory_is_flat_over_many_requests(self) -> None:
        async def check() -> None:
            clock = Clock()
            dedup = Dedup(clock=clock, kept_bytes=1_000_000)
            for number in range(20_000):
                clock.now += 1.0
                await dedup.answer(f"k{number}", done(100), "client", f"key{number}")
            assert dedup.stored_bytes <= 1_000_000
            assert len(dedup._stored) <= 600
            assert len(dedup._expiries) <= 601
            assert not dedup._flights
            assert len(dedup._names) <= 20_000

        asyncio.run(check())

    def test_a_burst_that_pushes_its_own_answers_out_leaves_nothing_behind(self) -> None:
        async def check() -> None:
            clock = Clock()
            dedup = Dedup(clock=clock, kept_bytes=100_000)
            for number in range(5_000):
                clock.now += 0.001
                await dedup.answer(f"k{number}", done(100))
            assert len(dedup._expiries) <= 2 * len(dedup._stored) + 1001
            clock.now += 600
            await dedup.answer("last", done(100))
            assert list(dedup._stored) == ["last"]

        asyncio.run(check())


class TestIdempotencyKey:
    def test_another_key_makes_another_request_of_an_equal_one(self) -> None:
        async def check() -> None:
            dedup, maker = Dedup(), done()
            hows = [(await dedup.answer("k", maker, "client", key))[1] for key in ("one", "two", "one", None)]
            assert hows == [RUN, RUN, STORED, RUN]

        asyncio.run(check())

    def test_a_key_with_another_request_is_refused_for_its_client_only(self) -> None:
        async def check() -> None:
            dedup = Dedup()
            await dedup.answer("k", done(), "client", "one")
            with pytest.raises(KeyReusedError):
                await dedup.answer("other", done(), "client", "one")
            assert (await dedup.answer("other", done(), "neighbour", "one"))[1] == RUN

        asyncio.run(check())

    def test_a_key_whose_request_failed_is_free_again(self) -> None:
        async def check() -> None:
            dedup, failing = Dedup(), Maker(failure=RuntimeError("no"))
            failing.finish.set()
            with pytest.raises(RuntimeError):
                await dedup.answer("k", failing, "client", "one")
            assert (await dedup.answer("other", done(), "client", "one"))[1] == RUN

        asyncio.run(check())


class TestFingerprint:
    def test_clients_and_values_are_told_apart(self) -> None:
        text = "x" * 300
        base = fingerprint("a", (text, 1, None, 0.1), None)
        assert base == fingerprint("a", ("".join(["x"] * 300), 1, None, 0.1), None)  # equal, and not the same object
        others = [
            fingerprint("b", (text, 1, None, 0.1), None),
            fingerprint("a", (text, 2, None, 0.1), None),
            fingerprint("a", (text, 1, 0.1, None), None),
            fingerprint("a", (text, 1, None), 0.1, None),
            fingerprint("a", (text, "1", None, 0.1), None),
        ]
        assert len({base, *others}) == 6

    def test_a_text_used_twice_is_as_good_as_two_equal_texts(self) -> None:
        shared = "".join(["ab", "cd"])
        assert fingerprint("a", (shared, shared)) == fingerprint("a", ("".join(["ab", "cd"]), "".join(["abc", "d"])))
