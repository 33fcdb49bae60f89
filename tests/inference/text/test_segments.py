"""Where texts are cut, and that nothing is lost, torn apart or too long."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_server.text.segments import Limits, Segment, halves, plan_segments
from speech_server.text.sentences import PARAGRAPH_PAUSE, SENTENCE_PAUSE, clauses, sentences, units

LIMITS = Limits(first=60, others=120)


def count(text: str, _language: str) -> int:
    """Two tokens for a Chinese, Japanese or Korean character, one for a word."""
    return sum(2 if ord(letter) >= 0x2E80 else 0 for letter in text) + len(re.findall(r"[A-Za-z0-9]+", text))


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def planned(text: str, hint: str | None = None, limits: Limits = LIMITS) -> list[Segment]:
    return plan_segments(text, hint, count, limits)


class TestSentences:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("你好！今天好吗？好。", ["你好！", "今天好吗？", "好。"]),
            ("他说：“走吧。”然后走了。", ["他说：“走吧。”", "然后走了。"]),
            ("圆周率是3.14。对吧", ["圆周率是3.14。", "对吧"]),
            ("Dr. Smith paid $3.50. He left.", ["Dr. Smith paid $3.50.", "He left."]),
            ("The U.S. Army, i.e. them. Yes", ["The U.S. Army, i.e. them.", "Yes"]),
            ("At 5 p.m. She left. At 5 p.m. sharp.", ["At 5 p.m.", "She left.", "At 5 p.m. sharp."]),
            ("J. R. Smith et al. came", ["J. R. Smith et al.", "came"]),
            ("“Hi!” she said. “Bye.”", ["“Hi!”", "she said.", "“Bye.”"]),
            ("Wait... what?! No", ["Wait...", "what?!", "No"]),
            ("see example.com for v1.2.3 now", ["see example.com for v1.2.3 now"]),
            ("今日は。明日！「はい。」", ["今日は。", "明日！", "「はい。」"]),
            ("안녕하세요. 네.", ["안녕하세요.", "네."]),
            ("Hello.你好。", ["Hello.", "你好。"]),
            ("¿Qué? ¡Sí! El Sr. López.", ["¿Qué?", "¡Sí!", "El Sr. López."]),
            ("ما اسمك؟ أنا علي", ["ما اسمك؟", "أنا علي"]),
            ("一\n\n二\n三", ["一", "二", "三"]),
            ("……\n！！！", []), ("", []), ("。。。好", ["好"]),
        ],
    )  # fmt: skip
    def test_where_they_end(self, text: str, expected: list[str]) -> None:
        found = [piece.text for piece in sentences(text)]
        assert found == expected

    def test_pauses(self) -> None:
        assert [piece.pause for piece in sentences("一。二\n\n三")] == [SENTENCE_PAUSE, PARAGRAPH_PAUSE, 0.0]
        # marks of their own lengthen the pause before them
        assert [piece.pause for piece in sentences("一。\n\n二")] == [PARAGRAPH_PAUSE, 0.0]

    def test_a_mark_is_no_place_to_cut(self) -> None:
        text = "He had a <minute|M IH1 . N AH0 T> to go."
        assert [piece.text for piece in sentences(text)] == [text]
        assert clauses(text) == [text]
        assert "<minute|M IH1 . N AH0 T> " in units(text)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("一，二、三", ["一，", "二、", "三"]), ("a, b; c: d", ["a,", " b;", " c:", " d"]), ("1,000 a", ["1,000 a"]),
         ("one — two", ["one —", " two"]), ("，好", ["，好"]), ("好，，", ["好，，"])],
    )  # fmt: skip
    def test_clauses(self, text: str, expected: list[str]) -> None:
        assert clauses(text) == expected

    def test_units_keep_words_and_numbers(self) -> None:
        assert units("don't 3.14% foo-bar你好, x") == ["don't ", "3.14% ", "foo-bar", "你", "好, ", "x"]


class TestSegments:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("用GPU训练。Hello world. こんにちは、東京。大阪。你好吗？",
             [("zh", "用GPU训练。"), ("en", "Hello world."), ("ja", "こんにちは、東京。大阪。"), ("zh", "你好吗？")]),
            ("一。二。三", [("zh", "一。二。三")]),
            ("Hello. World.", [("en", "Hello. World.")]),
            ("一\n\n二", [("zh", "一"), ("zh", "二")]),
            ("你好안녕", [("zh", "你好"), ("ko", "안녕")]),
            ("大阪。", [("zh", "大阪。")]),
            ("你<你|YAO4>做안<안|X>", [("zh", "你<你|YAO4>做"), ("ko", "안<안|X>")]),
        ],
    )  # fmt: skip
    def test_languages(self, text: str, expected: list[tuple[str, str]]) -> None:
        assert [(segment.language, segment.text) for segment in planned(text)] == expected

    def test_a_hint_settles_characters(self) -> None:
        assert [segment.language for segment in planned("大阪。", "ja")] == ["ja"]
        assert [segment.language for segment in planned("大阪。かな。", "zh")] == ["zh", "ja"]

    def test_the_first_is_short_and_the_others_are_full(self) -> None:
        found = planned("今天天气很好。" * 40)
        tokens = [count(segment.text, "zh") for segment in found]
        assert tokens[0] <= 60
        assert all(90 < each <= 120 for each in tokens[1:-1])

    def test_the_last_has_no_pause_and_the_others_have(self) -> None:
        found = planned("今天天气很好。" * 40)
        assert found[-1].pause == 0
        assert {segment.pause for segment in found[:-1]} == {SENTENCE_PAUSE}

    def test_a_sentence_that_is_too_long_is_cut_at_clauses(self) -> None:
        found = planned("今天天气不错，我们去公园玩吧，" * 12 + "好。")
        assert all(segment.text.endswith(("，", "。")) for segment in found)

    def test_halves_keep_the_pause_of_the_whole(self) -> None:
        whole = Segment("今天天气不错，我们去公园玩吧。", "zh", 0.5)
        parts = halves(whole, count, 16)
        assert "".join(part.text for part in parts) == whole.text
        assert len(parts) == 2
        assert parts[-1].pause == 0.5

    @given(
        st.text(alphabet=st.one_of(st.characters(), st.sampled_from("你好かaB3。, .!?\nñ한<|>")), max_size=300),
        st.sampled_from([None, "zh", "ja", "en"]),
        st.integers(1, 40),
    )
    @settings(max_examples=300, deadline=None)
    def test_nothing_is_lost_and_nothing_too_long(self, text: str, hint: str | None, limit: int) -> None:
        found = planned(text, hint, Limits(limit, limit))
        assert letters("".join(segment.text for segment in found)) == letters(text)
        for segment in found:
            assert letters(segment.text)
            assert count(segment.text, segment.language) <= max(limit, 2) or "<" in segment.text
        assert all(segment.pause > 0 for segment in found[:-1])

    @given(st.lists(st.sampled_from(["<行|XING2>", "<minute|M IH1 . N AH0 T>", "好", "a ", "，"]), max_size=60))
    @settings(max_examples=200, deadline=None)
    def test_marks_stay_in_one_piece(self, parts: list[str]) -> None:
        found = planned("".join(parts), None, Limits(5, 5))
        marks = re.findall("<[^<>]*>", "".join(segment.text for segment in found))
        assert marks == [part for part in parts if part.startswith("<")]

    @pytest.mark.timeout(30)
    @pytest.mark.parametrize("text", ["好" * 20_000, "a. " * 10_000, "x" * 20_000, "，" * 20_000, "好a" * 10_000])
    def test_long_texts_cost_no_more_than_their_length(self, text: str) -> None:
        found = planned(text)
        assert letters("".join(segment.text for segment in found)) == letters(text)
        assert all(left.pause > 0 for left, _ in itertools.pairwise(found))
