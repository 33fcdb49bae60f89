"""Which engine gets a call, and what becomes of calls while engines come and go: by a stand-in with its own clock."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from speech_server.engines.base import Spoken, Utterance
from speech_server.engines.call_line import NotBegunError
from speech_server.engines.host import EngineNotReadyError
from speech_server.engines.pool import EnginePool
from speech_server.engines.worker_process import EngineFaultError
from speech_server.estimates.speed import RealTimeFactor
from speech_server.lane import Engines, Lane
from tests.inference.server.double_engine_host import Clock, DoubleHost, say, settle


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


class Machine:
    """Engines behind their lane, as the server puts them together; each warm at first."""

    def __init__(self, engines: int, idle_seconds: float | None = None) -> None:
        self.clock = Clock()
        self.hosts = [DoubleHost(self.clock, number) for number in range(engines)]
        self.pool = EnginePool(self.hosts, idle_seconds)
        speed = RealTimeFactor(self.clock)
        for _ in range(4):
            speed.learn(1.0, 1.0)
        doors = Engines(engines, lambda: self.pool.warm, self.pool.wake_one)
        self.lane = Lane(speed, 1e9, self.clock, doors)
        self.pool.on_change = self.lane.refresh
        for host in self.hosts:
            host.get_ready()

    async def speak(self, utterance: Utterance, client: str = "a") -> None:
        """What the pipeline does: its turn, the call, and again after a fault."""
        turn = await self.lane.enter(client, float(len(utterance.text)))
        try:
            spoken = False
            while not spoken:
                with contextlib.suppress(EngineFaultError):
                    await self.pool.speak(utterance, 1e9, 10.0)
                    spoken = True
        finally:
            self.lane.leave(turn)

    def spoken(self) -> list[str]:
        return [text for host in self.hosts for text in host.spoke]


async def seconds_for(engines: int, texts: Sequence[str]) -> float:
    machine = Machine(engines)
    await machine.clock.until_done(machine.speak(say(text)) for text in texts)
    assert sorted(machine.spoken()) == sorted(texts)
    return machine.clock.now


class TestThroughput:
    def test_two_engines_speak_at_least_1_9_times_as_much_as_one_and_four_3_6_times(self) -> None:
        async def scenario() -> None:
            lengths = random.Random(7)
            texts = ["x" * lengths.randint(1, 30) for _ in range(60)]
            one = await seconds_for(1, texts)
            assert one == sum(map(len, texts))
            assert one / await seconds_for(2, texts) >= 1.9
            assert one / await seconds_for(4, texts) >= 3.6

        run(scenario())


class TestChoice:
    def test_a_free_engine_that_has_the_voice_warm_takes_the_call(self) -> None:
        async def scenario() -> None:
            machine = Machine(2)
            first, second = machine.hosts
            await machine.clock.until_done([machine.speak(say("aaaa", "low")), machine.speak(say("b", "high"))])
            assert (first.spoke, second.spoke) in ((["aaaa"], ["b"]), (["b"], ["aaaa"]))
            low, high = (first, second) if first.spoke == ["aaaa"] else (second, first)
            for _ in range(3):
                await machine.clock.until_done([machine.speak(say("h", "high"))])
                await machine.clock.until_done([machine.speak(say("l", "low"))])
            assert (low.spoke[1:], high.spoke[1:]) == (["l"] * 3, ["h"] * 3)

        run(scenario())

    def test_nobody_waits_for_a_warm_voice_while_another_engine_is_free(self) -> None:
        async def scenario() -> None:
            machine = Machine(2)
            await machine.clock.until_done([machine.speak(say("a", "low"))])
            began = machine.clock.now
            await machine.clock.until_done([machine.speak(say("xxxx", "low")) for _ in range(2)])
            assert machine.clock.now == began + 4

        run(scenario())

    def test_a_process_that_ended_took_its_warm_voices_along(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def scenario() -> None:
            machine = Machine(2)
            first, second = machine.hosts
            pids = {0: 100, 1: 200}
            monkeypatch.setattr(DoubleHost, "pid", property(lambda host: pids[host.number]))
            await machine.clock.until_done([machine.speak(say("aa", "low")), machine.speak(say("b", "high"))])
            low, high = (first, second) if "aa" in first.spoke else (second, first)
            pids[low.number] += 1
            await machine.clock.until_done([machine.speak(say("h", "high"))])  # the one used last
            await machine.clock.until_done([machine.speak(say("l", "low"))])
            assert high.spoke[-1] == "l"

        run(scenario())

    def test_one_that_died_at_its_last_call_is_asked_last(self) -> None:
        async def scenario() -> None:
            machine = Machine(2)
            sick, well = machine.hosts
            sick.deaths = 1
            await machine.clock.until_done([machine.speak(say("a", "low"))])
            assert (sick.spoke, well.spoke) == ([], ["a"])
            await machine.clock.until_done([machine.speak(say(text)) for text in ("b", "c")])
            assert len(sick.spoke) == 1  # better than a wait
            sick.deaths = 0

        run(scenario())


class TestLane:
    def test_what_is_waited_for_is_shared_among_the_engines(self) -> None:
        async def scenario() -> None:
            machine = Machine(2)
            lane, clock = machine.lane, machine.clock
            assert lane.wait_seconds("a") == 0
            works = [asyncio.ensure_future(machine.speak(say("x" * 10)))]
            await settle()
            assert lane.wait_seconds("a") == 0  # the other is free
            works.append(asyncio.ensure_future(machine.speak(say("x" * 4))))
            await settle()
            assert lane.wait_seconds("a") == 4
            assert lane.work_seconds() == 7
            works.append(asyncio.ensure_future(machine.speak(say("x" * 6))))
            await settle()
            assert lane.depth == 1
            # it begins after 4 s and ends after 10, as the first does
            assert lane.wait_seconds("a") == 10
            assert lane.work_seconds() == 10
            machine.hosts[1].die()
            machine.hosts[0].die()
            assert lane.work_seconds() == 20  # one at a time, whoever comes back
            for host in machine.hosts:
                host.get_ready()
            await clock.until_done(works)
            assert lane.work_seconds() == lane.wait_seconds("a") == lane.depth == 0

        run(scenario())

    def test_a_share_is_fair_over_all_engines(self) -> None:
        async def scenario() -> None:
            machine = Machine(2)
            many = [machine.speak(say(f"{number:06}"), "many") for number in range(20)]
            works = [asyncio.ensure_future(work) for work in many]
            await settle()
            works.append(asyncio.ensure_future(machine.speak(say("single"), "few")))
            await machine.clock.until_done(works)
            spoken = [host.spoke.index("single") for host in machine.hosts if "single" in host.spoke]
            assert spoken == [1]  # right after what ran when it came

        run(scenario())

    def test_jobs_have_a_clip_in_work_for_each_engine_and_two_beside(self) -> None:
        assert [Machine(engines).lane.batch_room for engines in (1, 2, 4)] == [3, 4, 6]


class TestComingAndGoing:
    def test_while_one_is_dead_the_others_go_on_and_every_call_is_spoken_once(self) -> None:
        async def scenario() -> None:
            machine = Machine(3)
            texts = [f"{number:04}" for number in range(30)]
            works = [asyncio.ensure_future(machine.speak(say(text))) for text in texts]
            chance = random.Random(3)
            for _ in range(12):
                await machine.clock.tick()
                host = chance.choice(machine.hosts)
                if host.ready and machine.pool.warm > 1:
                    host.die()
                elif not host.ready:
                    host.get_ready()
            await machine.clock.until_done(works)
            assert sorted(machine.spoken()) == texts

        run(scenario())

    def test_a_call_whose_engine_died_goes_to_the_next_free_one_before_those_who_wait(self) -> None:
        async def scenario() -> None:
            machine = Machine(2)
            works = [asyncio.ensure_future(machine.speak(say(text))) for text in ("unlucky", "short", "waits")]
            await settle()
            dead, other = sorted(machine.hosts, key=lambda host: host.speaking != "unlucky")
            dead.die()
            await machine.clock.until_done(works)
            assert (dead.spoke, other.spoke) == ([], ["short", "unlucky", "waits"])

        run(scenario())

    def test_one_that_becomes_warm_takes_what_waits(self) -> None:
        async def scenario() -> None:
            machine = Machine(2)
            machine.hosts[1].die()
            works = [asyncio.ensure_future(machine.speak(say("xxxxx"))) for _ in range(2)]
            await settle()
            assert machine.lane.depth == 1
            machine.hosts[1].get_ready()
            await machine.clock.until_done(works)
            assert machine.clock.now == 5

        run(scenario())

    def test_one_that_is_lost_as_it_is_handed_over_is_not_asked(self) -> None:
        async def scenario() -> None:
            machine = Machine(1)
            host = machine.hosts[0]
            host.die()
            work = asyncio.ensure_future(machine.pool.speak(say("hello"), 1e9, 10.0))
            await settle()
            host.get_ready()  # handed over now, and gone before whoever waits runs on
            host.die()
            await settle()
            assert not work.done()
            host.get_ready()
            await machine.clock.until_done([work])
            assert host.spoke == ["hello"]

        run(scenario())

    def test_who_gives_up_waiting_takes_no_engine_along(self) -> None:
        async def scenario() -> None:
            machine = Machine(1)
            host = machine.hosts[0]
            host.die()
            for handed_over in (False, True):
                work = asyncio.ensure_future(machine.pool.speak(say("nobody waits"), 1e9, 10.0))
                await settle()
                if handed_over:
                    host.get_ready()
                work.cancel()
                await settle()
                assert work.cancelled()
            await machine.clock.until_done([machine.speak(say("hello"))])
            assert host.spoke == ["hello"]

        run(scenario())

    def test_nobody_waits_longer_than_said_for_one_that_died(self) -> None:
        async def scenario() -> None:
            machine = Machine(2)
            for host in machine.hosts:
                host.die("no memory")
            for waiting in (machine.pool.speak(say("x"), 1e9, 0.01), machine.pool.wait_ready(0.01)):
                with pytest.raises(EngineNotReadyError, match="no memory"):
                    await waiting
            assert not machine.pool.ready
            assert not machine.pool.returning
            machine.hosts[1].get_ready()
            await machine.clock.until_done([machine.speak(say("x"))])

        run(scenario())


async def until_unloaded(host: DoubleHost) -> None:
    async def look() -> None:
        while not host.unloaded:
            await asyncio.sleep(0.002)

    await asyncio.wait_for(look(), 60)


class TestIdle:
    def test_one_that_nobody_asked_is_unloaded_and_the_next_call_wakes_it(self) -> None:
        async def scenario() -> None:
            machine = Machine(1, idle_seconds=0.02)
            host, pool = machine.hosts[0], machine.pool
            await until_unloaded(host)
            assert (pool.ready, pool.asleep, pool.returning, pool.states()) == (False, True, True, ["unloaded"])
            work = asyncio.ensure_future(machine.speak(say("good morning")))
            await settle()
            assert (pool.asleep, pool.states()) == (True, ["loading"])
            host.get_ready()
            assert not pool.asleep
            await machine.clock.until_done([work])
            assert host.spoke == ["good morning"]

        run(scenario())

    def test_one_that_speaks_is_not_idle_however_long_it_takes(self) -> None:
        async def scenario() -> None:
            machine = Machine(1, idle_seconds=0.01)
            work = asyncio.ensure_future(machine.speak(say("a long story")))
            await asyncio.sleep(0.05)  # several times as long as an idle one is kept
            assert machine.hosts[0].unloads == 0
            await machine.clock.until_done([work])
            await until_unloaded(machine.hosts[0])

        run(scenario())

    def test_who_cannot_wait_for_the_load_is_told_at_once_when_to_come_back(self) -> None:
        async def scenario() -> None:
            machine = Machine(1, idle_seconds=0.01)
            host, pool = machine.hosts[0], machine.pool
            host.load_took = 42.0
            await until_unloaded(host)
            with pytest.raises(EngineNotReadyError) as refused:
                await pool.wait_ready(30.0)
            assert refused.value.retry_seconds == pytest.approx(42.0, abs=1)
            assert host.waking  # it will be there then
            host.get_ready()
            await pool.wait_ready(0.0)

        run(scenario())

    def test_a_crowd_wakes_another_and_a_single_client_does_not(self) -> None:
        async def scenario() -> None:
            machine = Machine(2, idle_seconds=0.01)
            first, second = machine.hosts
            await until_unloaded(first)
            await until_unloaded(second)
            works = [asyncio.ensure_future(machine.speak(say("one")))]
            await settle()
            assert [host.waking for host in machine.hosts] == [True, False]
            works.append(asyncio.ensure_future(machine.speak(say("two"))))
            await settle()
            assert second.waking
            first.get_ready()
            second.get_ready()
            await machine.clock.until_done(works)
            assert machine.clock.now == 3

        run(scenario())

    def test_without_a_limit_it_stays(self) -> None:
        async def scenario() -> None:
            machine = Machine(1)
            await asyncio.sleep(0)
            assert machine.hosts[0].unloads == 0
            assert not machine.pool.asleep

        run(scenario())


class PatientHost(DoubleHost):
    """Calls stand in line at it. When it dies, those that had not begun are told so."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._turn = asyncio.Lock()

    async def speak(self, utterance: Utterance, seconds: float, ready_seconds: float) -> Spoken:
        async with self._turn:
            if not self.ready:
                raise NotBegunError(self.problem or "")
            return await super().speak(utterance, seconds, ready_seconds)


class TestAhead:
    def test_a_call_stands_in_line_and_goes_to_the_next_process_when_this_one_dies(self) -> None:
        async def scenario() -> None:
            clock = Clock()
            host = PatientHost(clock)
            pool = EnginePool([host])
            host.get_ready()
            first = asyncio.ensure_future(pool.speak(say("first"), 1e9, 10.0))
            behind = [asyncio.ensure_future(pool.speak(say(text), 1e9, 10.0, ahead=True)) for text in ("b", "c")]
            await settle()
            assert host.speaking == "first"
            assert pool.is_busy(0)
            host.die()
            with pytest.raises(EngineFaultError):
                await first
            await settle()
            assert not any(call.done() for call in behind)
            host.get_ready()
            await clock.until_done(behind)
            assert host.spoke == ["b", "c"]
            assert not pool.is_busy(0)

        run(scenario())

    def test_it_does_not_stand_in_front_of_one_that_waits_for_an_engine_of_its_own(self) -> None:
        async def scenario() -> None:
            clock = Clock()
            host = PatientHost(clock)
            pool = EnginePool([host])
            host.get_ready()
            works = [asyncio.ensure_future(pool.speak(say(text), 1e9, 10.0)) for text in ("first", "own")]
            await settle()
            works.append(asyncio.ensure_future(pool.speak(say("ahead"), 1e9, 10.0, ahead=True)))
            await clock.until_done(works)
            assert host.spoke == ["first", "own", "ahead"]

        run(scenario())
