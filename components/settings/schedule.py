"""When nodes are wanted: hours of the day on days of the week, in a time zone."""

from __future__ import annotations

import difflib
import re
import zoneinfo

from pydantic import ValidationInfo, field_validator

from components.settings.model import Model

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class ScheduleSettings(Model):
    """Nodes are up from `up` to `down` ("09:00") on `days` ("MON-FRI", "MON,WED"), by the clocks of `time_zone`."""

    time_zone: str
    up: str
    down: str
    days: str

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        known = zoneinfo.available_timezones()
        if name in known:
            return name
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "use a name like America/Los_Angeles or Asia/Shanghai"
        raise ValueError(f"is no time zone; {hint}")

    @field_validator("up", "down")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        if not _TIME.fullmatch(text):
            raise ValueError("is no time of day; write 00:00 to 23:59, and give both up and down or neither")
        return text

    @field_validator("down")
    @classmethod
    def _ends(cls, down: str, info: ValidationInfo) -> str:
        if down == info.data.get("up"):
            raise ValueError("is the same as up; give another time, or leave both out for nodes at any time")
        return down

    @field_validator("days")
    @classmethod
    def _are_days(cls, text: str) -> str:
        _day_numbers(text)
        return text

    @property
    def up_cron(self) -> str:
        """When nodes come up, as a cron expression for the time zone."""
        return _cron(self.up, _day_numbers(self.days))

    @property
    def hours_a_week(self) -> float:
        """How long nodes are wanted in a week."""
        up, down = (int(time[:2]) + int(time[3:]) / 60 for time in (self.up, self.down))
        return (down - up) % 24 * len(_day_numbers(self.days))

    @property
    def down_cron(self) -> str:
        """When nodes go; on the day after, where `down` is before `up`."""
        days = _day_numbers(self.days)
        return _cron(self.down, [(day + 1) % 7 for day in days] if self.down < self.up else days)


def _day_numbers(text: str) -> list[int]:
    """Sunday is 0. Raises ValueError."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError("is no list of days; write it like MON-FRI or MON,WED,SAT")
        start, length = _DAYS.index(first), (_DAYS.index(last or first) - _DAYS.index(first)) % 7
        numbers += [(start + offset) % 7 for offset in range(length + 1)]
    if len(set(numbers)) < len(numbers):
        raise ValueError("names a day twice; name each once")
    return numbers


def _cron(time: str, days: list[int]) -> str:
    hour, _, minute = time.partition(":")
    return f"{int(minute)} {int(hour)} * * {'*' if len(days) == 7 else ','.join(str(day) for day in sorted(days))}"
