"""The arithmetic of duration_ratio and target_seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_server.timing import TargetOutOfReachError, Timing, final_length

RATE = 22_050


class TestFinalLength:
    def test_without_a_wish_it_is_the_natural_one(self) -> None:
        assert final_length(1234, RATE, Timing()) == 1234

    def test_a_higher_speed_is_a_shorter_clip(self) -> None:
        assert final_length(RATE * 11, RATE, Timing(speed=1.1)) == RATE * 10

    @given(st.integers(1, 10**7), st.floats(0.25, 4.0))
    def test_a_speed_is_kept_to_half_a_sample(self, natural: int, speed: float) -> None:
        length = final_length(natural, RATE, Timing(speed=speed))
        assert length == 1 or abs(length - natural / speed) <= 0.5

    @given(st.integers(100, 10**7), st.floats(0.5, 2.0))
    def test_a_reachable_target_is_met_to_the_sample(self, natural: int, factor: float) -> None:
        seconds = natural * factor / RATE
        assert final_length(natural, RATE, Timing(target_seconds=seconds)) == round(seconds * RATE)

    @pytest.mark.parametrize("seconds", [0.0001, 0.9, 4.1, 3600])
    def test_an_unreachable_target_names_the_natural_length_and_the_range(self, seconds: float) -> None:
        with pytest.raises(TargetOutOfReachError, match=r"2\.00 s long .* 1\.00 to 4\.00, not"):
            final_length(2 * RATE, RATE, Timing(target_seconds=seconds))

    def test_the_offered_ends_of_the_range_are_accepted(self) -> None:
        natural = 12_345
        with pytest.raises(TargetOutOfReachError) as refused:
            final_length(natural, RATE, Timing(target_seconds=60))
        words = str(refused.value).split()
        low, high = float(words[words.index("be") + 1]), float(words[words.index("to") + 1].rstrip(","))
        assert low == pytest.approx(natural / 2 / RATE, abs=0.005)
        assert high == pytest.approx(natural * 2 / RATE, abs=0.005)
