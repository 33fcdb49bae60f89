"""When an engine is taken to hang."""

from __future__ import annotations

import pytest

from speech_server.estimates.deadline import call_deadline


class TestDeadline:
    def test_a_short_text_has_the_whole_limit(self) -> None:
        assert call_deadline("short", 0.4, 120.0) == 120.0

    def test_it_grows_with_a_long_text(self) -> None:
        assert call_deadline("x" * 500, 30.0, 120.0) == 1200.0

    def test_a_slow_voice_has_more_time_and_a_fast_one_no_less(self) -> None:
        text = "字" * 100
        usual = call_deadline(text, 22.0, 120.0)
        assert usual == pytest.approx(240.0)
        assert call_deadline(text, 44.0, 120.0) == pytest.approx(480.0)
        assert call_deadline(text, 5.0, 120.0) == usual
