"""Numbers in Chinese text, written as they are said."""

from __future__ import annotations

import re

_DIGITS = "零一二三四五六七八九"
_UNITS = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿")
# longer ones are codes, said digit by digit
_LONGEST_COUNT = 12
# measure words before which two is 两: the common ones, and units
_AFTER_TWO = frozenset("个只位件张条本次天年周名家台辆座层杯瓶盒包份句首间套双对颗块片种样门岁秒分小点")
_CURRENCIES = {"¥": "元", "￥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
_UNIT_NAMES = {"%": "百分之", "％": "百分之", "‰": "千分之"}

_NUMBER = re.compile(
    r"(?P<date>(?<!\d)(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d))"
    r"|(?P<time>(?<!\d)(?P<hour>[01]?\d|2[0-4])[:：](?P<minute>[0-5]\d)(?:[:：](?P<second>[0-5]\d))?(?!\d))"
    r"|(?P<code>(?<!\d)(?:1[3-9]\d{9}|0\d{2,3}-\d{7,8}|\d+(?:-\d+){2,})(?!\d))"
    r"|(?P<dotted>(?<!\d)\d+(?:\.\d+){2,}(?!\d))"
    r"|(?P<year>(?<!\d)\d{4}(?=年))"
    r"|(?P<fraction>(?<!\d)(?P<top>\d{1,4})/(?P<bottom>\d{1,4})(?!\d))"
    r"|(?P<currency>[¥￥$€£]\s?)?(?P<sign>(?<![\d\w])[-−+＋])?(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
    r"(?P<decimals>\.\d+)?(?P<unit>[%％‰])?(?P<range>\s?[-–~～]\s?(?=\d))?"
)
_FULL_WIDTH = {ord("０") + value: str(value) for value in range(10)}


def spell_numbers(text: str) -> str:
    """The text with its numbers as Chinese words: 2026年有35个 -> 二零二六年有三十五个.

    Read are counts of up to 12 digits (longer ones and those with a leading zero digit by digit), decimals, signs,
    percentages, fractions, ranges, sums of money, years before 年, dates, times of day, telephone
    numbers and version numbers.
    """
    plain = text.translate(_FULL_WIDTH)
    return _NUMBER.sub(lambda match: _spelled(match, plain), plain)


def _spelled(match: re.Match[str], text: str) -> str:
    if match["date"]:
        return f"{_one_by_one(match['y'])}年{_count(match['m'])}月{_count(match['d'])}日"
    if match["time"]:
        return _time(match)
    if match["code"]:
        return _one_by_one(match["code"].replace("-", ""))
    if match["dotted"]:
        return "点".join(map(_one_by_one, match["dotted"].split(".")))
    if match["year"]:
        return _one_by_one(match["year"])
    if match["fraction"]:
        return f"{_count(match['bottom'])}分之{_count(match['top'])}"
    return _quantity(match, text[match.end() : match.end() + 1])


def _time(match: re.Match[str]) -> str:
    hour = "两" if int(match["hour"]) == 2 else _count(match["hour"].lstrip("0") or "0")
    minute = int(match["minute"])
    spelled = f"{hour}点" + ("" if minute == 0 else f"{'零' if minute < 10 else ''}{_count(str(minute))}分")
    if match["second"]:
        spelled += ("" if minute else "零分") + f"{_count(str(int(match['second'])))}秒"
    return spelled + ("整" if minute == 0 and not match["second"] else "")


def _quantity(match: re.Match[str], following: str) -> str:
    whole = match["whole"].replace(",", "")
    plain_two = whole == "2" and not match["decimals"] and not match["unit"] and not match["range"]
    pair = plain_two and (match["currency"] or following in _AFTER_TWO)
    spelled = "两" if pair else _count(whole)
    if match["decimals"]:
        spelled += "点" + _one_by_one(match["decimals"][1:])
    if match["sign"] in ("-", "−"):
        spelled = "负" + spelled
    spelled = _UNIT_NAMES.get(match["unit"] or "", "") + spelled
    spelled += _CURRENCIES.get((match["currency"] or "").strip(), "")
    return spelled + ("到" if match["range"] else "")


def _one_by_one(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


def _count(digits: str) -> str:
    if len(digits) > _LONGEST_COUNT or (len(digits) > 1 and digits.startswith("0")):
        return _one_by_one(digits)
    number = int(digits)
    if number == 0:
        return _DIGITS[0]
    spelled = ""
    group = 0
    gap = False
    while number:
        number, part = divmod(number, 10_000)
        if part:
            spelled = _up_to_9999(part) + _GROUPS[group] + (_DIGITS[0] if gap and spelled else "") + spelled
        # a zero is said where digits are missing between this group and the lower ones
        gap = part < 1_000 if part else bool(spelled)
        group += 1
    # 十五, not 一十五, at the beginning
    return spelled[1:] if spelled.startswith("一十") else spelled


def _up_to_9999(number: int) -> str:
    spelled = ""
    zero = False
    for place in range(3, -1, -1):
        digit = number // 10**place % 10
        if digit:
            spelled += (_DIGITS[0] if zero and spelled else "") + _DIGITS[digit] + _UNITS[place]
        zero = digit == 0
    return spelled
