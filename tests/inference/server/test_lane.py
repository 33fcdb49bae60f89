"""Whose turn it is, and what a wait is said to be."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from speech_server.estimate import RealTimeFactor, audio_seconds, call_deadline
from speech_server.lane import Lane, LaneFullError, Priority


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def speed_of(value: float) -> RealTimeFactor:
    speed = RealTimeFactor()
    speed.learn(1.0, value)
    return speed


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


class Visitor:
    """Goes through the lane, notes its turn, and leaves when told."""

    def __init__(self, lane: Lane, order: list[str], name: str, priority: Priority = Priority.INTERACTIVE) -> None:
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit(lane, order, name, priority))

    async def _visit(self, lane: Lane, order: list[str], name: str, priority: Priority) -> None:
        async with lane.turn(1.0, priority):
            order.append(name)
            await self.leave.wait()


class TestOrder:
    def test_one_at_a_time_first_come_first_served_and_interactive_before_batch(self) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed_of(1.0), 100), []
            names = [("a", 0), ("batch 1", 1), ("b", 0), ("batch 2", 1), ("c", 0)]
            visitors = {}
            for name, priority in names:
                visitors[name] = Visitor(lane, order, name, Priority(priority))
                await settle()
            assert order == ["a"]
            assert lane.depth == 4
            expected = ["a", "b", "c", "batch 1", "batch 2"]
            for count, name in enumerate(expected, 1):
                assert order == expected[:count]
                visitors[name].leave.set()
                await settle()
            assert lane.depth == 0
            assert lane.wait_seconds() == 0

        run(scenario())

    def test_one_who_gives_up_waiting_never_gets_a_turn(self) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed_of(1.0), 100), []
            first, second, third = (Visitor(lane, order, name) for name in "abc")
            await settle()
            second.task.cancel()
            await settle()
            assert lane.depth == 1
            first.leave.set()
            await settle()
            assert order == ["a", "c"]
            third.leave.set()
            await third.task

        run(scenario())

    def test_one_who_gives_up_in_the_moment_of_its_turn_passes_it_on(self) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed_of(1.0), 100), []
            first, second, third = (Visitor(lane, order, name) for name in "abc")
            await settle()
            first.leave.set()
            await asyncio.sleep(0)  # first's task runs on and hands the turn to second, which has not run yet
            second.task.cancel()
            await settle()
            assert order == ["a", "c"]
            third.leave.set()
            await third.task
            assert lane.wait_seconds() == 0

        run(scenario())

    def test_a_turn_that_fails_is_passed_on(self) -> None:
        async def scenario() -> None:
            lane = Lane(speed_of(1.0), 100)
            with pytest.raises(RuntimeError, match="engine"):
                async with lane.turn(1.0):
                    raise RuntimeError("engine")
            async with lane.turn(1.0):
                pass

        run(scenario())


class TestAdmission:
    def test_the_wait_is_what_is_left_of_the_running_call_and_what_is_queued_before(self) -> None:
        async def scenario() -> None:
            clock = Clock()
            lane, order = Lane(speed_of(0.5), 1000, clock), []
            visitors = [Visitor(lane, order, "running")]
            await settle()
            visitors += [Visitor(lane, order, "queued"), Visitor(lane, order, "batch", Priority.BATCH)]
            await settle()
            assert lane.wait_seconds() == pytest.approx(0.5 + 0.5)
            assert lane.wait_seconds(Priority.BATCH) == pytest.approx(0.5 + 1.0)
            clock.now = 0.2
            assert lane.wait_seconds() == pytest.approx(0.3 + 0.5)
            clock.now = 9.0  # late: no longer than that is known of it
            assert lane.wait_seconds() == pytest.approx(0.5)
            for visitor in visitors:
                visitor.leave.set()
                await visitor.task

        run(scenario())

    def test_a_wait_over_the_limit_is_refused_with_its_length(self) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed_of(10.0), 15, Clock()), []
            visitors = [Visitor(lane, order, "running"), Visitor(lane, order, "queued")]
            await settle()
            with pytest.raises(LaneFullError) as refused:
                async with lane.turn(1.0):
                    raise AssertionError("never admitted")
            assert refused.value.wait_seconds == pytest.approx(20.0)
            assert lane.depth == 1
            for visitor in visitors:
                visitor.leave.set()
                await visitor.task
            lane.check()

        run(scenario())


class TestEstimate:
    def test_chinese_and_english_of_the_same_meaning_are_about_as_long(self) -> None:
        chinese = audio_seconds("这本书我还没有看完,明天就要还给图书馆。")
        english = audio_seconds("I have not finished this book, and tomorrow it must go back to the library.")
        assert chinese == pytest.approx(english, rel=0.3)
        assert audio_seconds("") == 0

    def test_the_first_measurement_replaces_the_guess_and_later_ones_are_averaged_in(self) -> None:
        speed = RealTimeFactor()
        speed.learn(10.0, 0.2)
        assert speed.value == pytest.approx(0.02)
        speed.learn(10.0, 1.2)
        assert speed.value == pytest.approx(0.02 + 0.2 * 0.1)
        speed.learn(0.0, 1.0)
        assert speed.value == pytest.approx(0.04)

    def test_a_deadline_grows_with_a_long_text_only(self) -> None:
        assert call_deadline("short", 120.0) == 120.0
        assert call_deadline("x" * 500, 120.0) == 1200.0
