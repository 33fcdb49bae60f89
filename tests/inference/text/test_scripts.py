"""Which language each part of a mixed text is taken for."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_server.text.scripts import split_by_language


def split(text: str, hint: str | None = None) -> list[tuple[str, str]]:
    return [(run.language, run.text) for run in split_by_language(text, hint)]


class TestRuns:
    @pytest.mark.parametrize(
        ("text", "runs"),
        [
            ("你好, world!", [("zh", "你好, "), ("en", "world!")]),
            ("我用“GPU”训练", [("zh", "我用"), ("en", "“GPU”"), ("zh", "训练")]),
            ("（OK）好", [("en", "（OK）"), ("zh", "好")]),
            ("你为什么yao4 zhe4yang4做?", [("zh", "你为什么yao4 zhe4yang4做?")]),
            ("say ni3hao3 now", [("en", "say "), ("zh", "ni3hao3 "), ("en", "now")]),
            ("안녕 hello 你好", [("ko", "안녕 "), ("en", "hello "), ("zh", "你好")]),
            ("東京、大阪に行きます。", [("ja", "東京、大阪に行きます。")]),
            ("你好，こんにちは", [("zh", "你好，"), ("ja", "こんにちは")]),
            ("ラーメンです", [("ja", "ラーメンです")]),
            ("привет 你好", [("other", "привет "), ("zh", "你好")]),
            ("ᅷ한", [("other", "ᅷ"), ("ko", "한")]),
            ("naïve café", [("en", "naïve café")]),
            ("", []),
        ],
    )
    def test_scripts(self, text: str, runs: list[tuple[str, str]]) -> None:
        assert split(text) == runs

    @pytest.mark.parametrize(
        ("text", "runs"),
        [
            ("2026年有35个", [("zh", "2026年有35个")]),
            ("我有iPhone 15手机", [("zh", "我有"), ("en", "iPhone "), ("zh", "15手机")]),
            ("I have 3 cats", [("en", "I have 3 cats")]),
            ("A4纸", [("en", "A4"), ("zh", "纸")]),
            ("用iPhone 15。3.14，50%", [("zh", "用"), ("en", "iPhone 15。"), ("zh", "3.14，50%")]),
            ("花了$35.5元", [("zh", "花了$35.5元")]),
            ("다음 3 개", [("ko", "다음 3 개")]),
            ("12:30 opens", [("en", "12:30 opens")]),
        ],
    )
    def test_numbers_take_the_language_around_them(self, text: str, runs: list[tuple[str, str]]) -> None:
        assert split(text) == runs

    @pytest.mark.parametrize(
        ("text", "hint", "language"),
        [("42", None, "en"), ("42", "zh-CN", "zh"), ("42", "ko", "ko"), ("42", "fr", "en"), ("...", "zh", "zh"),
         ("東京", None, "zh"), ("東京", "ja-JP", "ja"), ("hello", "zh", "en")],
    )  # fmt: skip
    def test_a_hint_settles_what_the_script_does_not(self, text: str, hint: str | None, language: str) -> None:
        assert split(text, hint) == [(language, text)]

    @given(
        st.text(alphabet=st.one_of(st.characters(), st.sampled_from("你好かaB3。, ，（“”한я4\n"))),
        st.sampled_from([None, "zh", "ja"]),
    )
    def test_the_runs_joined_are_the_text_and_neighbours_differ(self, text: str, hint: str | None) -> None:
        runs = split_by_language(text, hint)
        assert "".join(run.text for run in runs) == text
        assert all(run.text for run in runs)
        assert all(left.language != right.language for left, right in itertools.pairwise(runs))

    @pytest.mark.timeout(10)
    @pytest.mark.parametrize("text", ["1 " * 20_000, "你a" * 20_000, "、" * 50_000, "(" * 50_000, "1.1" * 20_000])
    def test_long_texts_cost_no_more_than_their_length(self, text: str) -> None:
        assert "".join(run.text for run in split_by_language(text)) == text
