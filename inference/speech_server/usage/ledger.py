"""What each client had on each day, counted in this server since it started: what is charged for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone


@dataclass
class Use:
    """Clips and their speech. Repeated answers cost the engine nothing and are not in it."""

    clips: int = 0
    characters: int = 0
    audio_seconds: float = 0.0
    synthesis_seconds: float = 0.0


# (client, "request" or "job") -> what it had
Day = dict[tuple[str, str], Use]


def utc_day() -> date:
    return datetime.now(timezone.utc).date()


class Ledger:
    """Days are those of UTC, on every node the same."""

    def __init__(self, today: Callable[[], date] = utc_day) -> None:
        self._today = today
        self._days: dict[date, Day] = {}
        self._changed: set[date] = set()

    def add(self, client: str, kind: str, characters: int, audio_seconds: float, synthesis_seconds: float) -> None:
        """One clip was made."""
        today = self._today()
        day = self._days.get(today)
        if day is None:
            day = self._days[today] = {}
        use = day.get((client, kind))
        if use is None:
            use = day[client, kind] = Use()
        use.clips += 1
        use.characters += characters
        use.audio_seconds += audio_seconds
        use.synthesis_seconds += synthesis_seconds
        self._changed.add(today)

    def changed(self) -> dict[date, Day]:
        """Copies of the days that were added to since they were last `kept`."""
        return {
            day: {account: replace(use) for account, use in self._days[day].items()} for day in sorted(self._changed)
        }

    def kept(self, day: date, accounts: Day) -> None:
        """`accounts`, as `changed` gave them, are safe elsewhere. What was added meanwhile stays to be kept."""
        if self._days[day] == accounts:
            self._changed.discard(day)
            if day < self._today():
                del self._days[day]
