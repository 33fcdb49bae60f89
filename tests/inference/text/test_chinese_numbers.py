"""Numbers in Chinese text, against how they are said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_server.text.chinese_numbers import spell_numbers

VALUES = {character: value for value, character in enumerate("零一二三四五六七八九")}
PLACES = {"十": 10, "百": 100, "千": 1000}


def value_of(spelled: str) -> int:
    """The inverse, written independently: a count below 10**12 in Chinese words to an int."""
    high, found, low = spelled.rpartition("亿")
    if found:
        return value_of(high) * 10**8 + value_of(low)
    high, found, low = spelled.rpartition("万")
    if found:
        return value_of(high) * 10**4 + value_of(low)
    total = digit = 0
    for character in spelled:
        if character in PLACES:
            total += (digit or 1) * PLACES[character]
            digit = 0
        else:
            digit = VALUES[character]
    return total + digit


class TestCounts:
    @pytest.mark.parametrize(
        ("digits", "spelled"),
        [
            ("0", "零"), ("10", "十"), ("15", "十五"), ("20", "二十"), ("101", "一百零一"), ("110", "一百一十"),
            ("1000", "一千"), ("1001", "一千零一"), ("1010", "一千零一十"), ("10000", "一万"), ("10001", "一万零一"),
            ("100500", "十万零五百"), ("12345", "一万二千三百四十五"), ("1000000", "一百万"), ("100000000", "一亿"),
            ("100000001", "一亿零一"), ("1010101", "一百零一万零一百零一"), ("20050006000", "二百亿五千万六千"),
            ("007", "零零七"), ("1234567890123", "一二三四五六七八九零一二三"),
        ],
    )  # fmt: skip
    def test_known_numbers(self, digits: str, spelled: str) -> None:
        assert spell_numbers(digits) == spelled

    @given(st.integers(0, 10**12 - 1).filter(lambda number: not 13 * 10**9 <= number < 20 * 10**9))
    def test_every_count_means_its_number(self, number: int) -> None:
        spelled = spell_numbers(str(number))
        assert value_of(spelled) == number
        assert "零零" not in spelled
        assert number == 0 or not spelled.endswith("零")


class TestForms:
    @pytest.mark.parametrize(
        ("text", "spelled"),
        [
            ("2026年有35个", "二零二六年有三十五个"), ("3.14", "三点一四"), ("50%", "百分之五十"), ("-3度", "负三度"),
            ("3-5天", "三到五天"), ("3～5天", "三到五天"), ("1,234,567", "一百二十三万四千五百六十七"), ("2个", "两个"),
            ("12个", "十二个"), ("2月", "二月"), ("第2", "第二"), ("¥35.5", "三十五点五元"), ("$2", "两美元"),
            ("3/4", "四分之三"), ("2026-11-22", "二零二六年十一月二十二日"), ("12:30", "十二点三十分"),
            ("2:05", "两点零五分"), ("8:00", "八点整"), ("09:15:30", "九点十五分三十秒"),
            ("13800138000", "一三八零零一三八零零零"),
            ("010-62345678", "零一零六二三四五六七八"), ("2.5.1", "二点五点一"), ("３５", "三十五"),
            ("12.5%", "百分之十二点五"),
            ("没有数字", "没有数字"), ("", ""),
        ],
    )  # fmt: skip
    def test_how_it_is_said(self, text: str, spelled: str) -> None:
        assert spell_numbers(text) == spelled

    @given(st.text(alphabet="0123456789.,:/-+%¥$年个 ~٣", max_size=40))
    def test_no_digit_is_left(self, text: str) -> None:
        assert not any(character.isdecimal() for character in spell_numbers(text))

    @pytest.mark.timeout(10)
    @pytest.mark.parametrize(
        "text", ["1" * 50_000, "1-" * 25_000, "1," * 25_000, "1." * 25_000, "1/" * 25_000, "$ " * 25_000]
    )
    def test_long_texts_cost_no_more_than_their_length(self, text: str) -> None:
        assert spell_numbers(text)
