"""How fast this node's engine is, as admission reckons with it."""

from __future__ import annotations

import pytest

from speech_server.estimates.lengths import Lengths
from speech_server.estimates.speed import RealTimeFactor
from tests.inference.server.test_lane import Clock


class TestFactor:
    def test_the_first_measurement_replaces_the_guess(self) -> None:
        speed = RealTimeFactor(Clock())
        speed.learn(10.0, 0.2)
        assert speed.value == pytest.approx(0.02)
        speed.learn(0.0, 1.0)
        assert speed.value == pytest.approx(0.02)

    def test_long_calls_weigh_more_than_short_ones(self) -> None:
        speed = RealTimeFactor(Clock())
        for audio, seconds in [(1.0, 3.0), (1.0, 1.0), (98.0, 49.0)]:
            speed.learn(audio, seconds)
        assert speed.value == pytest.approx(50 / 99)

    @pytest.mark.parametrize("slow_call", [0, 2, 4])
    def test_one_call_that_met_a_cold_cache_does_not_count(self, slow_call: int) -> None:
        speed = RealTimeFactor(Clock())
        for number in range(5):
            speed.learn(10.0, 300.0 if number == slow_call else 1.0)
        assert speed.value == pytest.approx(0.1)

    def test_it_follows_an_engine_that_became_slower(self) -> None:
        speed = RealTimeFactor(Clock())
        for seconds in [1.0] * 20 + [5.0] * 20:
            speed.learn(10.0, seconds)
        assert speed.value == pytest.approx(0.5)

    def test_it_is_sure_after_a_few_calls_and_while_they_are_recent(self) -> None:
        clock = Clock()
        speed = RealTimeFactor(clock)
        known = []
        for _ in range(5):
            speed.learn(1.0, 1.0)
            known.append(speed.sure)
        assert known == [False, False, False, True, True]
        clock.now = 599.0
        assert speed.sure
        clock.now = 601.0
        assert not speed.sure
        assert speed.value == pytest.approx(1.0)


class TestWithLengths:
    @pytest.mark.parametrize("pace", [0.6, 1.6])
    def test_a_calls_time_is_foretold_while_the_voice_is_learned_and_afterwards(self, pace: float) -> None:
        lengths, speed = Lengths(), RealTimeFactor(Clock())
        told: list[float] = []  # the time that was expected over the time that it took
        for _ in range(24):
            clip = lengths.expect("今天天气很好,我们一起去公园散步吧。", None, "client", "voice")
            spoken = pace * clip.prior.seconds
            taken = 0.5 * spoken
            told.append(clip.seconds * speed.value / taken)
            speed.learn(clip.seconds, taken)
            lengths.learn(clip, spoken)
        after_the_first = told[1:]
        assert max(after_the_first) < 1.6
        assert min(after_the_first) > 0.6
        assert told[-1] == pytest.approx(1.0, rel=0.05)
