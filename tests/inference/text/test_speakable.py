"""What is taken out of a text before an engine sees it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_server.text.speakable import TextError, clean_text, has_speech


class TestCleanText:
    @pytest.mark.parametrize(
        ("text", "clean"),
        [
            ("你好, world", "你好, world"),
            ("  a\tb\u00a0c\u3000d  ", "a b c d"),
            ("a\r\nb\rc\u2028d\x85e\x0bf", "a\nb\nc\nd\ne\nf"),
            ("a\x00b\x01c\x1bd\x7fe\x9ff", "abcdef"),
            ("a\u200bb\u200dc\ufeffd\u00ade", "abcde"),
            ("\u202eevil\u202c \u2066x\u2069", "evil x"),
            ("e\u0301 ha\u030co", "é hǎo"),
            ("a\ue000b\U000f0000c\uffffd\U000e0041e", "abcde"),
            ("한국어", "한국어"),
            ("", ""),
        ],
    )
    def test_what_stays_and_what_goes(self, text: str, clean: str) -> None:
        assert clean_text(text) == clean

    @pytest.mark.parametrize(("text", "position"), [("ab\ud800", 3), ("\udfffx", 1), ("\ud83d\ude00", 1)])
    def test_half_a_surrogate_pair_is_refused_with_its_place(self, text: str, position: int) -> None:
        with pytest.raises(TextError) as caught:
            clean_text(text)
        assert caught.value.code == "text_not_unicode"
        assert f"character {position}" in caught.value.message
        caught.value.message.encode("utf-8")

    @given(st.text())
    def test_a_clean_text_is_clean(self, text: str) -> None:
        clean = clean_text(text)
        assert clean_text(clean) == clean
        assert unicodedata.is_normalized("NFC", clean)
        assert not any(
            unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn") for character in clean if character != "\n"
        )


class TestHasSpeech:
    @pytest.mark.parametrize("text", ["a", "你", "3", "か", "한", "я", "é", "…x…", "〇"])
    def test_letters_digits_and_hanzi(self, text: str) -> None:
        assert has_speech(text)

    @pytest.mark.parametrize("text", ["", " ", "...", "。，！", "😀👍", "\n", "()[]{}", "-—–", "★", "\u0301"])
    def test_marks_and_pictures(self, text: str) -> None:
        assert not has_speech(text)
