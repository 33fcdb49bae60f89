"""What admission reckons with."""

from __future__ import annotations

import pytest

from speech_server.estimate import RealTimeFactor, audio_seconds, call_deadline
from tests.inference.server.test_lane import Clock


class TestLength:
    def test_chinese_and_english_of_the_same_meaning_are_about_as_long(self) -> None:
        chinese = audio_seconds("这本书我还没有看完,明天就要还给图书馆。")
        english = audio_seconds("I have not finished this book, and tomorrow it must go back to the library.")
        assert chinese == pytest.approx(english, rel=0.3)
        assert audio_seconds("") == 0

    def test_a_deadline_grows_with_a_long_text_only(self) -> None:
        assert call_deadline("short", 120.0) == 120.0
        assert call_deadline("x" * 500, 120.0) == 1200.0


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
