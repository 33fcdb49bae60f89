"""Marks with a reading: what is one, what is refused, and where it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_server.text.pronunciation_marks import MarkError, find_marks


class TestReadings:
    @pytest.mark.parametrize(
        ("mark", "kind", "reading"),
        [
            ("<行|XING2>", "pinyin", "xing2"), ("<行|xing2>", "pinyin", "xing2"), ("<重庆|CHONG2 QING4>", "pinyin",
            "chong2 qing4"), ("<重庆|chong2qing4>", "pinyin", "chong2 qing4"), ("<女|nu:3>", "pinyin", "nv3"),
            ("<minute|M IH1 . N AH0 T>", "phones", "M IH1 . N AH0 T"), ("<her|hh er1>", "phones", "HH ER1"),
            ("<上手|じょうず>", "kana", "じょうず"), ("<珈琲|コーヒー>", "kana", "コーヒー"),
            ("<珈琲|こーヒー>", "kana", "コーヒー"), ("< 行 | XING2 >", "pinyin", "xing2"),
        ],
    )  # fmt: skip
    def test_kinds(self, mark: str, kind: str, reading: str) -> None:
        (found,) = find_marks(f"a{mark}b")
        assert (found.start, found.end, found.reading.kind) == (1, 1 + len(mark), kind)
        spoken = " ".join(map(str, found.reading.syllables)) if kind == "pinyin" else found.reading.text
        assert spoken == reading

    @pytest.mark.parametrize(
        "mark",
        ["<行|XING9>", "<行|hello>", "<行|XING2 foo>", "<minute|M IH9>", "<minute|.>", "<minute|XING2>", "<x|漢>"],
    )
    def test_a_reading_that_is_none_is_named_with_its_place(self, mark: str) -> None:
        with pytest.raises(MarkError, match="in the mark at character 3 is no") as caught:
            find_marks(f"ab{mark}")
        assert caught.value.position == 3

    @pytest.mark.parametrize("text", ["a < b | c > d\n<x|\ny>", "<b>bold</b>", "<|endoftext|>", "<a|b|c>", "a|b", "<>"])
    def test_what_is_no_mark_is_none(self, text: str) -> None:
        assert [mark.reading.word for mark in find_marks(text.replace("< b | c >", "< b  c >"))] == []

    @given(st.text(alphabet="<>|行aM1 XING2ア", max_size=40))
    def test_any_text(self, text: str) -> None:
        try:
            marks = find_marks(text)
        except MarkError as error:
            assert 1 <= error.position <= len(text)
            return
        assert all(text[mark.start] == "<" and text[mark.end - 1] == ">" for mark in marks)
