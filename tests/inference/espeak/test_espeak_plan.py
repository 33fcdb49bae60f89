"""What is said in which voice, with which pauses: decided without the library."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_server.engines.espeak_plan import (
    COMMA_PAUSE,
    JOINT_PAUSE,
    LINE_PAUSE,
    SENTENCE_PAUSE,
    plan_speech,
)


def planned(text: str, language: str | None = None) -> list[tuple[str, str, float]]:
    return [(segment.language, segment.text, segment.pause) for segment in plan_speech(text, language).segments]


class TestSegments:
    @pytest.mark.parametrize(
        ("text", "segments"),
        [
            ("你好，世界。", [("zh", "ni3hao3", COMMA_PAUSE), ("zh", "shi4 jie4", 0)]),
            ("Hello, world. Bye!",
             [("en", "Hello,", COMMA_PAUSE), ("en", "world.", SENTENCE_PAUSE), ("en", "Bye!", 0)]),
            ("用GPU训练", [("zh", "yong4", JOINT_PAUSE), ("en", "GPU", JOINT_PAUSE), ("zh", "xun4 lian4", 0)]),
            ("好。OK，好", [("zh", "hao3", SENTENCE_PAUSE), ("en", "OK,", COMMA_PAUSE), ("zh", "hao3", 0)]),
            ("好\n\n好", [("zh", "hao3", LINE_PAUSE), ("zh", "hao3", 0)]),
            ("안녕! 네", [("ko", "안녕!", SENTENCE_PAUSE), ("ko", "네", 0)]),
            ("こんにちは。はい", [("ja", "こんにちは.", SENTENCE_PAUSE), ("ja", "はい", 0)]),
            ("Dr. Smith of the U.S. Army paid $3.50, i.e. 50%.",
             [("en", "Dr. Smith of the U.S. Army paid $3.50,", COMMA_PAUSE), ("en", "i.e. 50%.", 0)]),
            ("Wait... what", [("en", "Wait...", SENTENCE_PAUSE), ("en", "what", 0)]),
            ("**bold** <b>x</b> 😀", [("en", "bold b x /b", 0)]),
            ("①", [("en", "1", 0)]),
            ("½", [("en", "1/2", 0)]),
            ("ＧＰＵ", [("en", "GPU", 0)]),
            ("  。，!? ", []),
            ("", []),
        ],
    )  # fmt: skip
    def test_texts(self, text: str, segments: list[tuple[str, str, float]]) -> None:
        assert planned(text) == segments

    def test_a_hint_settles_a_number(self) -> None:
        assert planned("35", "zh") == [("zh", "san1 shi2 wu3", 0)]
        assert planned("35", "en") == [("en", "35", 0)]

    def test_what_cannot_be_spoken_is_told_with_a_few_examples(self) -> None:
        plan = plan_speech("привет, 你好 東京へ \U0002a6d6", None)
        assert plan.unspoken == {
            "Cyrillic": "приве", "Japanese kanji": "東京", "Chinese characters without a known reading": "\U0002a6d6"
        }  # fmt: skip
        assert [segment.language for segment in plan.segments] == ["zh", "ja"]


class TestBounds:
    def test_a_long_chinese_clause_is_cut_between_words(self) -> None:
        segments = planned("今天天气不错" * 50)
        assert "".join(text.replace(" ", "") for _, text, _ in segments).count("bu2cuo4") == 50
        assert all(sum(map(str.isdigit, text)) <= 40 for _, text, _ in segments)
        assert {pause for _, _, pause in segments[:-1]} == {JOINT_PAUSE}

    def test_a_long_word_of_the_callers_pinyin_is_cut(self) -> None:
        segments = planned("ma1" * 500)
        assert sum(text.count("ma1") for _, text, _ in segments) == 500
        assert all(sum(map(str.isdigit, text)) <= 40 for _, text, _ in segments)

    def test_a_long_english_word_and_sentence_are_cut_and_nothing_is_lost(self) -> None:
        assert "".join(text.replace(" ", "") for _, text, _ in planned("x" * 1001)) == "x" * 1001
        segments = planned("word " * 1000)
        assert sum(text.count("word") for _, text, _ in segments) == 1000
        assert all(len(text) <= 300 for _, text, _ in segments)

    @given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("你好aB3。,. \nかя한yao4")), max_size=80))
    @settings(max_examples=300, deadline=None)
    def test_any_text(self, text: str) -> None:
        plan = plan_speech(text, None)
        for segment in plan.segments:
            assert segment.text.strip()
            assert 0 <= segment.pause <= LINE_PAUSE
            if segment.language == "zh":
                assert segment.text.isascii()
        assert not plan.segments or plan.segments[-1].pause == 0
