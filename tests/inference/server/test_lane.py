"""Whose turn it is, and what a wait is said to be."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

import pytest

from speech_server.estimates.speed import RealTimeFactor
from speech_server.lane import Engines, Lane, LaneFullError, Priority, TooLateError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def speed_of(value: float, clock: Clock | None = None) -> RealTimeFactor:
    """A factor that is measured and sure."""
    speed = RealTimeFactor(clock or Clock())
    for _ in range(4):
        speed.learn(1.0, value)
    return speed


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


class Visitor:
    """Goes through the lane, notes its turn, and leaves when told. `seconds` of the clock pass during its turn."""

    def __init__(
        self,
        lane: Lane,
        order: list[str],
        name: str,
        priority: Priority = Priority.INTERACTIVE,
        client: str = "a",
        audio_seconds: float = 1.0,
        deadline: float | None = None,
    ) -> None:
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit(lane, order, name, priority, client, audio_seconds, deadline))

    async def _visit(
        self,
        lane: Lane,
        order: list[str],
        name: str,
        priority: Priority,
        client: str,
        audio_seconds: float,
        deadline: float | None,
    ) -> None:
        turn = await lane.enter(client, audio_seconds, priority, deadline)
        try:
            order.append(name)
            await self.leave.wait()
        finally:
            lane.leave(turn)


class Street:
    """A lane and those who visit it; each turn takes as long as expected."""

    def __init__(self, max_wait_seconds: float = 1e9) -> None:
        self.clock = Clock()
        self.lane = Lane(speed_of(1.0), max_wait_seconds, self.clock)
        self.order: list[str] = []
        self.visitors: dict[str, Visitor] = {}

    async def come(self, name: str, client: str, audio_seconds: float = 1.0, batch: bool = False) -> None:
        priority = Priority.BATCH if batch else Priority.INTERACTIVE
        self.visitors[name] = Visitor(self.lane, self.order, name, priority, client, audio_seconds)
        await settle()

    async def pass_on(self, seconds: float = 1.0) -> None:
        """The running one's turn ends after so long."""
        self.clock.now += seconds
        self.visitors[self.order[-1]].leave.set()
        await settle()

    async def empty(self) -> None:
        while self.lane.work_seconds() > 0 or self.lane.depth:
            await self.pass_on()
        for visitor in self.visitors.values():
            visitor.leave.set()
            await visitor.task


class TestOrder:
    def test_one_at_a_time_first_come_first_served_and_interactive_before_batch(self) -> None:
        async def scenario() -> None:
            street = Street()
            for name, batch in [("a", False), ("batch 1", True), ("b", False), ("batch 2", True), ("c", False)]:
                await street.come(name, "one client", batch=batch)
            assert street.order == ["a"]
            assert street.lane.depth == 4
            expected = ["a", "b", "c", "batch 1", "batch 2"]
            for count in range(1, 6):
                assert street.order == expected[:count]
                await street.pass_on()
            assert street.lane.depth == 0
            assert street.lane.wait_seconds("one client") == street.lane.work_seconds() == 0

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
            assert lane.wait_seconds("a") == 0

        run(scenario())


class TestFairShare:
    def test_one_request_is_not_behind_a_thousand_of_another_client(self) -> None:
        async def scenario() -> None:
            street = Street()
            for number in range(20):
                await street.come(f"many {number}", "many")
            await street.come("few", "few")
            await street.pass_on()
            assert street.order == ["many 0", "few"]
            await street.empty()

        run(scenario())

    def test_two_clients_alternate_and_what_counts_is_audio_not_requests(self) -> None:
        async def scenario() -> None:
            street = Street()
            await street.come("running", "other")
            for number in range(3):
                await street.come(f"long {number}", "long", 4.0)
            for number in range(8):
                await street.come(f"short {number}", "short", 1.0)
            while street.lane.depth:
                await street.pass_on(4.0 if street.order[-1].startswith("long") else 1.0)
            # Four seconds each in turn: while both wait, neither is more than a call ahead.
            had = {"long": 0.0, "short": 0.0}
            for name in street.order[1:10]:
                kind = name.split()[0]
                had[kind] += 4.0 if kind == "long" else 1.0
                assert abs(had["long"] - had["short"]) <= 4.0
            await street.empty()

        run(scenario())

    def test_nobody_saves_up_by_staying_away(self) -> None:
        async def scenario() -> None:
            street = Street()
            for number in range(10):
                await street.come(f"early {number}", "early")
            for _ in range(6):
                await street.pass_on()
            for number in range(4):
                await street.come(f"late {number}", "late")
            await street.empty()
            assert street.order[7:11] != ["late 0", "late 1", "late 2", "late 3"]
            assert sum(name.startswith("late") for name in street.order[7:11]) == 2

        run(scenario())

    def test_who_took_longer_than_expected_pays_for_it(self) -> None:
        async def scenario() -> None:
            street = Street()
            for number in range(3):
                await street.come(f"slow {number}", "slow")
                await street.come(f"plain {number}", "plain")
            assert street.order == ["slow 0"]
            await street.pass_on(10.0)  # expected: 1 s
            for _ in range(3):
                await street.pass_on(1.0)
            assert street.order == ["slow 0", "plain 0", "plain 1", "plain 2", "slow 1"]
            await street.empty()

        run(scenario())


class TestBatch:
    def test_it_is_not_starved_by_interactive_work_without_end(self) -> None:
        async def scenario() -> None:
            street = Street()
            await street.come("interactive 0", "a")
            for number in range(3):
                await street.come(f"batch {number}", "b", batch=True)
            for number in range(1, 40):
                await street.come(f"interactive {number}", "a")
                await street.pass_on()
            places = [place for place, name in enumerate(street.order) if name.startswith("batch")]
            assert len(places) == 3
            assert all(9 <= later - earlier <= 11 for earlier, later in pairwise(places))
            await street.empty()

        run(scenario())

    def test_a_long_clip_waits_longer_for_its_turn(self) -> None:
        async def scenario() -> None:
            street = Street()
            await street.come("interactive 0", "a")
            await street.come("batch", "b", audio_seconds=3.0, batch=True)
            for number in range(1, 31):
                await street.come(f"interactive {number}", "a")
                await street.pass_on()
            assert 26 <= street.order.index("batch") <= 28
            await street.empty()

        run(scenario())

    def test_it_is_never_refused_for_a_full_lane_and_says_when_it_wants_more(self) -> None:
        async def scenario() -> None:
            street = Street(max_wait_seconds=0.5)
            await street.come("running", "a")
            await street.come("batch", "a", audio_seconds=100.0, batch=True)
            assert street.lane.depth == 1
            room = street.lane.batch_room
            assert room > 0
            with street.lane.batch_clip(), street.lane.batch_clip(), street.lane.batch_clip():
                assert street.lane.batch_room == room - 3 == 0
                waiting = asyncio.create_task(street.lane.wait_for_batch_room())
                await settle()
                assert not waiting.done()
            await asyncio.wait_for(waiting, 1)
            await street.empty()

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
            ninth = 0.5 / 9  # of batch work in between
            assert lane.wait_seconds("a") == pytest.approx(0.5 + 0.5 + ninth)
            assert lane.wait_seconds("a", Priority.BATCH) == pytest.approx(0.5 + 1.0)
            assert lane.work_seconds() == pytest.approx(0.5 + 1.0)
            clock.now = 0.2
            assert lane.wait_seconds("a") == pytest.approx(0.3 + 0.5 + ninth)
            clock.now = 9.0  # late: no longer than that is known of it
            assert lane.wait_seconds("a") == pytest.approx(0.5 + ninth)
            for visitor in visitors:
                visitor.leave.set()
                await visitor.task

        run(scenario())

    def test_each_client_waits_for_its_own_share(self) -> None:
        async def scenario() -> None:
            street = Street(max_wait_seconds=10)
            for number in range(11):
                await street.come(f"many {number}", "many")
            await street.come("running", "few")
            assert street.lane.wait_seconds("many") == pytest.approx(12.0)
            # one running, and one of the other's at most before each of its own
            assert street.lane.wait_seconds("few") <= 4.0
            with pytest.raises(LaneFullError):
                street.lane.check("many")
            street.lane.check("few")
            await street.empty()

        run(scenario())

    def test_a_wait_over_the_limit_is_refused_with_its_length(self) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed_of(10.0), 15, Clock()), []
            visitors = [Visitor(lane, order, "running"), Visitor(lane, order, "queued")]
            await settle()
            with pytest.raises(LaneFullError) as refused:
                await lane.enter("a", 1.0)
            assert refused.value.wait_seconds == pytest.approx(20.0)
            assert lane.depth == 1
            for visitor in visitors:
                visitor.leave.set()
                await visitor.task
            lane.check("a")

        run(scenario())


class TestDeadline:
    def test_a_call_that_could_not_end_in_time_is_refused_at_once(self) -> None:
        async def scenario() -> None:
            street = Street()
            await street.come("running", "a", audio_seconds=10.0)
            with pytest.raises(LaneFullError):
                await street.lane.enter("a", 5.0, deadline=14.0)
            turn = asyncio.create_task(street.lane.enter("a", 5.0, deadline=1000.0))
            await settle()
            await street.pass_on(10.0)
            street.lane.leave(await turn)

        run(scenario())

    def test_one_whose_time_runs_out_in_the_lane_leaves_it(self) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed_of(0.001), 100, asyncio.get_running_loop().time), []
            running = Visitor(lane, order, "running", audio_seconds=15.0)
            await settle()
            late = asyncio.create_task(lane.enter("b", 1.0, deadline=asyncio.get_running_loop().time() + 0.02))
            with pytest.raises(TooLateError):
                await late
            assert lane.depth == 0
            running.leave.set()
            await running.task
            assert lane.work_seconds() == 0

        run(scenario())


class TestAhead:
    """Calls of a millisecond each, in front of one engine."""

    def test_a_hundredth_of_a_second_of_work_is_let_through_and_no_more(self) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed_of(0.001), 100, Clock()), []
            visitors = [Visitor(lane, order, f"{number:02}") for number in range(14)]
            await settle()
            assert order == [f"{number:02}" for number in range(10)]
            assert lane.depth == 4
            assert lane.work_seconds() == pytest.approx(0.014)
            assert lane.wait_seconds("a") == pytest.approx(0.014)
            visitors[0].leave.set()
            await settle()
            assert order[10:] == ["10"]
            for visitor in visitors:
                visitor.leave.set()
                await visitor.task
            assert lane.depth == lane.work_seconds() == lane.wait_seconds("a") == 0

        run(scenario())

    def test_however_little_each_takes_only_so_many_are(self) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed_of(1e-6), 100, Clock()), []
            visitors = [Visitor(lane, order, str(number)) for number in range(20)]
            await settle()
            assert len(order) == 16
            for visitor in visitors:
                visitor.leave.set()
                await visitor.task

        run(scenario())

    @pytest.mark.parametrize("engines, speed", [(2, speed_of(0.001)), (1, RealTimeFactor(Clock()))])
    def test_none_is_in_front_of_several_engines_or_while_their_speed_is_a_guess(
        self, engines: int, speed: RealTimeFactor
    ) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed, 100, Clock(), Engines(engines, lambda: engines)), []
            visitors = [Visitor(lane, order, str(number), audio_seconds=0.001) for number in range(4)]
            await settle()
            assert len(order) == engines
            for visitor in visitors:
                visitor.leave.set()
                await visitor.task

        run(scenario())

    def test_a_long_call_is_not_overtaken_by_those_that_would_be_let_through(self) -> None:
        async def scenario() -> None:
            lane, order = Lane(speed_of(0.001), 100, Clock()), []
            first, long = Visitor(lane, order, "first"), Visitor(lane, order, "long", audio_seconds=60.0)
            short = Visitor(lane, order, "short")
            await settle()
            assert order == ["first"]
            first.leave.set()
            await settle()
            assert order == ["first", "long"]
            long.leave.set()
            short.leave.set()
            await short.task

        run(scenario())

    def test_its_time_runs_from_the_end_of_the_one_before_and_one_that_gives_up_pays_nothing(self) -> None:
        async def scenario() -> None:
            clock = Clock()
            lane = Lane(speed_of(0.001), 100, clock)
            first, second, third = [await lane.enter("a", 1.0) for _ in range(3)]
            assert (first.ahead, second.ahead, third.ahead) == (False, True, True)
            lane.leave(second)
            clock.now = 0.002
            lane.leave(first)
            assert third.since == 0.002
            assert lane.work_seconds() == pytest.approx(0.001)
            had = lane._queues[Priority.INTERACTIVE].had["a"]
            assert had == pytest.approx(2.0 + 0.0 + 1.0)  # what the first took, nothing, what the third is to take
            lane.leave(third)
            assert lane.work_seconds() == 0

        run(scenario())

    def test_it_has_the_engine_to_itself_when_one_gets_warm(self) -> None:
        async def scenario() -> None:
            warm = 1
            lane = Lane(speed_of(0.001), 100, Clock(), Engines(1, lambda: warm))
            running, ahead = await lane.enter("a", 1.0), await lane.enter("a", 1.0)
            warm = 2
            lane.refresh()
            assert lane.wait_seconds("a") == pytest.approx(0.001)
            lane.leave(ahead)
            lane.leave(running)

        run(scenario())
