"""Pinyin in text: every legal syllable in every tone, how words are split, and what is not pinyin."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_server.text.pinyin import (
    PinyinError,
    find_numbered_pinyin,
    find_pinyin,
    number_pinyin,
)
from speech_server.text.pinyin_syllables import SYLLABLES

MARKS = {1: "\u0304", 2: "\u0301", 3: "\u030c", 4: "\u0300"}
SPELLINGS = sorted(SYLLABLES)

syllables = st.tuples(st.sampled_from(SPELLINGS), st.integers(1, 4))


def marked(base: str, tone: int) -> str:
    """A syllable as it is printed, composed: the mark on a or e, the o of ou, or the last vowel."""
    if tone == 5:
        return base.replace("v", "ü")
    place = next((base.index(sign) for sign in ("a", "e", "ou") if sign in base), None)
    if place is None:
        place = max(index for index, letter in enumerate(base) if letter in "iouv")
    written = base[: place + 1] + MARKS[tone] + base[place + 1 :]
    return unicodedata.normalize("NFC", written.replace("v", "u\u0308"))


class TestTable:
    def test_the_size_and_the_edges_of_the_table(self) -> None:
        assert len(SYLLABLES) == 416
        assert {"a", "er", "zhuang", "lve", "nv", "yo", "ei", "shei", "xiong"} <= SYLLABLES
        assert not {"fe", "be", "jv", "lue", "bong", "wong", "ng", "r", ""} & SYLLABLES

    @pytest.mark.parametrize("tone", [1, 2, 3, 4])
    def test_every_syllable_marked_becomes_numbered(self, tone: int) -> None:
        for base in SPELLINGS:
            word = marked(base, tone)
            for form in (word, unicodedata.normalize("NFD", word), word.upper(), word.capitalize()):
                assert number_pinyin(form) == f"{base}{tone}", form

    @pytest.mark.parametrize("tone", [1, 2, 3, 4, 5])
    def test_every_numbered_syllable_stays(self, tone: int) -> None:
        for base in SPELLINGS:
            assert number_pinyin(f"{base}{tone}") == f"{base}{tone}"
            if len(base) > 1:
                assert number_pinyin(f"{base}{tone}".upper()) == f"{base}{tone}"

    @pytest.mark.parametrize("tone", [1, 2, 3, 4])
    def test_every_syllable_with_erhua(self, tone: int) -> None:
        for base in SPELLINGS:
            # er has its r already, and the r of e + r is that of er
            if base not in ("e", "er"):
                assert number_pinyin(marked(base, tone) + "r") == f"{base}r{tone}", base


class TestRunTogether:
    @given(first=syllables, second=syllables)
    @settings(max_examples=500, deadline=None)
    def test_two_syllables_written_by_the_rule_are_found_again(
        self, first: tuple[str, int], second: tuple[str, int]
    ) -> None:
        apostrophe = "'" if second[0][0] in "aeo" else ""
        word = marked(*first) + apostrophe + marked(*second)
        assert number_pinyin(word) == "{}{}{}{}".format(*first, *second)

    @given(st.lists(syllables, min_size=1, max_size=6))
    @settings(max_examples=300, deadline=None)
    def test_a_word_of_many(self, parts: list[tuple[str, int]]) -> None:
        word = "".join(
            ("'" if index and part[0][0] in "aeo" else "") + marked(*part) for index, part in enumerate(parts)
        )
        assert number_pinyin(word) == "".join(f"{base}{tone}" for base, tone in parts)

    @given(first=syllables, second=st.sampled_from(SPELLINGS))
    @settings(max_examples=300, deadline=None)
    def test_a_neutral_syllable_after_an_apostrophe(self, first: tuple[str, int], second: str) -> None:
        assert number_pinyin(f"{marked(*first)}'{marked(second, 5)}") == f"{first[0]}{first[1]}{second}5"

    @pytest.mark.parametrize(
        ("written", "numbered"),
        [
            ("xiān", "xian1"), ("xī'ān", "xi1an1"), ("xī’ān", "xi1an1"), ("xīān", "xi1an1"), ("fǎngǎn", "fan3gan3"),
            ("fāng'àn", "fang1an4"), ("nǚ'ér", "nv3er2"), ("nǚér", "nv3er2"), ("yīnér", "yin1er2"),
            ("tiāné", "tian1e2"), ("péngyou", "peng2you5"), ("duìbuqǐ", "dui4bu5qi3"), ("háizi", "hai2zi5"),
            ("wánr", "wanr2"), ("nǎr", "nar3"), ("yìdiǎnr", "yi4dianr3"), ("huār", "huar1"), ("ér", "er2"),
            ("zhèrén", "zhe4ren2"), ("xiànggǎng", "xiang4gang3"), ("zhōngguó", "zhong1guo2"), ("lüèduó", "lve4duo2"),
            ("luèduó", "lve4duo2"), ("jǘ", "ju2"), ("lǜ", "lv4"), ("lv̀", "lv4"), ("ǹg", "en4"),
            ("hǎo-hāo", "hao3-hao1"),
        ],
    )  # fmt: skip
    def test_words(self, written: str, numbered: str) -> None:
        assert number_pinyin(written) == numbered

    @pytest.mark.parametrize(
        ("written", "numbered"), [("lìu", "liu4"), ("gùi", "gui4"), ("haǒ", "hao3"), ("xià̆", None), ("hăo", "hao3")]
    )
    def test_a_mark_on_the_wrong_letter_and_a_breve_for_a_caron(self, written: str, numbered: str | None) -> None:
        assert number_pinyin(written) == (numbered or written)

    def test_the_letter_shapes_of_primers(self) -> None:
        assert number_pinyin("ɡǎnɡ hɑ̌o") == "gang3 hao3"


class TestInText:
    @pytest.mark.parametrize(
        ("text", "numbered"),
        [
            ("你为什么yào zhèyàng做?", "你为什么yao4 zhe4yang4做?"),
            ("OK hello GPU mp3 mp4 A4 E5 H264 m2o don't it's", "OK hello GPU mp3 mp4 A4 E5 H264 m2o don't it's"),
            ("yao4 YAO4 lv4 lü4 LÜ4 nu:3 NU:3 lue4", "yao4 yao4 lv4 lv4 lv4 nv3 nv3 lve4"),
            ("wanr2 wan2r wan2r5 xi1'an1 zhe4yang4", "wanr2 wanr2 wanr2 xi1an1 zhe4yang4"),
            ("yao6 xyz3 san11 yao4x 4yao", "yao6 xyz3 san11 yao4x 4yao"),
            ("wǒ de shū, hǎo ma? de ma", "wo3 de5 shu1, hao3 ma5? de ma"),
            ("zài yī ge-de", "zai4 yi1 ge-de"),
            ("yào3个, 3gè, 三yào", "yao4 3个, 3 ge4, 三yao4"),
            ("über façade Škoda mañana Việt Ångström", "über façade Škoda mañana Việt Ångström"),
            ("résumé", "re2su5me2"),
            ("", ""),
            ("(yào)“zhè”", "(yao4)“zhe4”"),
        ],
    )
    def test_what_is_read_and_what_is_left_alone(self, text: str, numbered: str) -> None:
        assert number_pinyin(text) == numbered
        assert number_pinyin(numbered) == numbered

    def test_words_carry_their_place_and_their_syllables(self) -> None:
        text = "去Xī'ān吧"
        (word,) = find_pinyin(text)
        assert text[word.start : word.end] == "Xī'ān"
        assert [(s.base, s.tone, s.erhua) for s in word.syllables] == [("xi", 1, False), ("an", 1, False)]

    def test_an_engine_sees_numbers_and_no_marks(self) -> None:
        assert find_numbered_pinyin("café yào résumé") == []
        assert [str(s) for w in find_numbered_pinyin("yao4 de wan2r5") for s in w.syllables] == ["yao4", "de5", "wanr2"]

    @given(st.lists(st.one_of(st.text(alphabet="你好,。 aG3", max_size=4), syllables), max_size=8))
    @settings(max_examples=300, deadline=None)
    def test_the_numbered_text_holds_the_same_syllables(self, parts: list[str | tuple[str, int]]) -> None:
        text = " ".join(part if isinstance(part, str) else marked(*part) for part in parts)
        found = [word.syllables for word in find_pinyin(text)]
        assert [word.syllables for word in find_numbered_pinyin(number_pinyin(text))] == found

    @given(st.lists(st.one_of(st.sampled_from(["3", "12", "个", " ", "。"]), syllables), max_size=8))
    @settings(max_examples=300, deadline=None)
    def test_digits_beside_pinyin_are_kept_apart(self, parts: list[str | tuple[str, int]]) -> None:
        text = "".join(part if isinstance(part, str) else f"'{marked(*part)}" for part in parts)
        syllables_there = [s for word in find_pinyin(text) for s in word.syllables]
        numbered = number_pinyin(text)
        assert [s for word in find_numbered_pinyin(numbered) for s in word.syllables] == syllables_there


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "syllable", "position"),
        [
            ("café", "fé", 3), ("我想yàox吧", "yàox", 3), ("你fóng", "fóng", 2), ("zhèq", "zhèq", 1), ("ḿ", "ḿ", 1),
            ("gūo̧ fá qá", "qá", 9), ("á" * 3 + "k", "ák", 3), ("nĭ hǎok", "hǎok", 4),
        ],
    )  # fmt: skip
    def test_the_syllable_and_its_place_are_named(self, text: str, syllable: str, position: int) -> None:
        with pytest.raises(PinyinError) as caught:
            number_pinyin(text)
        assert (caught.value.syllable, caught.value.position) == (syllable, position)
        assert repr(syllable) in str(caught.value)
        assert f"character {position}" in str(caught.value)

    def test_a_place_counts_the_characters_of_the_text_as_given(self) -> None:
        text = "ha\u030co fe\u0301"
        with pytest.raises(PinyinError) as caught:
            number_pinyin(text)
        assert text[caught.value.position - 1] == "f"

    @given(st.text(max_size=60))
    @settings(max_examples=300, deadline=None)
    def test_any_text_is_numbered_or_refused(self, text: str) -> None:
        try:
            numbered = number_pinyin(text)
        except PinyinError as error:
            assert 1 <= error.position <= len(text)
            return
        assert number_pinyin(numbered) == numbered

    @given(st.text(alphabet="aeiouüvāáǎàèēngrzhx'’ -12345:\u0301\u0308ɡ", max_size=40))
    @settings(max_examples=500, deadline=None)
    def test_any_mixture_of_pinyins_own_signs_keeps_its_syllables(self, text: str) -> None:
        try:
            words = find_pinyin(text)
        except PinyinError as error:
            assert 1 <= error.position <= len(text)
            return
        assert all(left.end <= right.start for left, right in itertools.pairwise(words))
        rest = iter(str(s) for word in find_numbered_pinyin(number_pinyin(text)) for s in word.syllables)
        assert all(str(s) in rest for word in words for s in word.syllables)

    @pytest.mark.timeout(20)
    @pytest.mark.parametrize(
        "text", ["ā" * 20_000, "a" * 100_000, "a4" * 50_000, "a'" * 50_000, "u:" * 50_000, "er" * 9999 + "ě"]
    )
    def test_long_words_cost_no_more_than_their_length(self, text: str) -> None:
        try:
            assert number_pinyin(text)
        except PinyinError as error:
            assert error.position
