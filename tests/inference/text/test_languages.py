"""The language of each stretch: Spanish beside English, Arabic, Japanese without kana, and what is spoken as one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_server.text.languages import language_runs, may_be_japanese, spoken_as_one


def runs(text: str, hint: str | None = None) -> list[tuple[str, str]]:
    return [(run.language, run.text) for run in language_runs(text, hint)]


class TestRuns:
    @pytest.mark.parametrize(
        ("text", "hint", "expected"),
        [
            ("Hola, ¿cómo estás?", None, ["es"]), ("El niño", None, ["es"]), ("Muchas gracias", None, ["es"]),
            ("I met El Niño's cousin", "en", ["en"]), ("Hello there", None, ["en"]), ("Bueno", "es-MX", ["es"]),
            ("We went to Los Angeles and stayed for a long week", None, ["en"]),
            ("مرحبا بالعالم", None, ["ar"]), ("привет мир", None, ["other"]), ("Hi مرحبا", None, ["en", "ar"]),
            ("大阪に行く", None, ["ja"]), ("你好，こんにちは", None, ["zh", "ja"]), ("안녕 好", None, ["ko", "zh"]),
        ],
    )  # fmt: skip
    def test_languages(self, text: str, hint: str | None, expected: list[str]) -> None:
        assert [language for language, _ in runs(text, hint)] == expected

    @pytest.mark.parametrize(("text", "japanese"), [("東京", True), ("大阪府", True), ("训练", False), ("你好", False),
                                                    ("気", True), ("我是学生", False)])  # fmt: skip
    def test_characters_alone(self, text: str, japanese: bool) -> None:
        assert may_be_japanese(text) is japanese

    @given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("你好かaB3。, ñ한яمر\n"))))
    def test_the_runs_joined_are_the_text_and_neighbours_differ(self, text: str) -> None:
        found = language_runs(text)
        assert "".join(run.text for run in found) == text
        assert all(left.language != right.language for left, right in itertools.pairwise(found))
        joined = spoken_as_one(found)
        assert "".join(run.text for run in joined) == text
        assert all(left.language != right.language for left, right in itertools.pairwise(joined))


class TestSpokenAsOne:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("用GPU训练model吧", [("zh", "用GPU训练model吧")]),
            ("OK, 你好", [("zh", "OK, 你好")]),
            ("Tokyoは東京です", [("ja", "Tokyoは東京です")]),
            ("圆周率π是3.14", [("zh", "圆周率π是3.14")]),
            ("你好안녕 ok", [("zh", "你好"), ("ko", "안녕 ok")]),
            ("Hello world", [("en", "Hello world")]),
            ("你好 привет", [("zh", "你好 "), ("other", "привет")]),
        ],
    )
    def test_latin_words_stay_in_the_sentence_around_them(self, text: str, expected: list[tuple[str, str]]) -> None:
        assert [(run.language, run.text) for run in spoken_as_one(language_runs(text))] == expected
