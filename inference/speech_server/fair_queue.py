"""Who of those that wait goes next: the client that had least so far (start-time fair queueing: Goyal, Vin and Cheng,
1996).
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from dataclasses import dataclass, field


class Priority(enum.IntEnum):
    """Lower goes first."""

    INTERACTIVE = 0
    BATCH = 1


@dataclass(eq=False)
class Turn:
    """A call's place in the lane, from its arrival on."""

    client: str
    priority: Priority
    audio_seconds: float
    number: int  # in order of arrival
    came: asyncio.Future[None]
    ahead: bool = False  # it came before an engine was free
    since: float = 0.0  # of the lane's clock: when it had an engine to itself; meaningless before


@dataclass
class FairQueue:
    """The turns of one priority. `had`: a client's share so far, in audio seconds of virtual time; `now`: the share
    of whoever had the last turn, which is what a client that comes (back) starts with, so that nobody saves up.
    """

    turns: dict[str, deque[Turn]] = field(default_factory=dict)
    had: dict[str, float] = field(default_factory=dict)
    now: float = 0.0
    depth: int = 0
    audio_seconds: float = 0.0  # of all who wait
    _own: dict[str, float] = field(default_factory=dict)  # audio seconds of each client's that wait

    def before(self, client: str) -> float:
        """Audio seconds of those that go before a call of `client` that comes now."""
        if len(self.turns) == (client in self.turns):
            return self.audio_seconds  # nobody else waits
        own = self._own.get(client, 0.0)
        start = self._start_of(client) + own
        total = own
        for other, line in self.turns.items():
            if other == client:
                continue
            share = self.had[other]
            for turn in line:
                if share > start:
                    break
                share += turn.audio_seconds
                total += turn.audio_seconds
        return total

    def add(self, turn: Turn) -> None:
        if turn.client not in self.turns:
            self.had[turn.client] = self._start_of(turn.client)
            self.turns[turn.client] = deque()
            self._own[turn.client] = 0.0
        self.turns[turn.client].append(turn)
        self._own[turn.client] += turn.audio_seconds
        self.audio_seconds += turn.audio_seconds
        self.depth += 1

    def first(self) -> Turn | None:
        if not self.turns:
            return None
        if len(self.turns) == 1:
            return next(iter(self.turns.values()))[0]
        client = min(self.turns, key=lambda name: (self.had[name], self.turns[name][0].number))
        return self.turns[client][0]

    def remove(self, turn: Turn) -> None:
        line = self.turns[turn.client]
        line.remove(turn)
        self._own[turn.client] -= turn.audio_seconds
        self.audio_seconds -= turn.audio_seconds
        self.depth -= 1
        if not line:
            del self.turns[turn.client], self._own[turn.client]
        if not self.turns:
            self.audio_seconds = 0.0  # and not what rounding left

    def start(self, turn: Turn) -> None:
        """It has its turn, and pays what it is expected to take."""
        start = self._start_of(turn.client)
        self.now = max(self.now, start)
        self.had[turn.client] = start + turn.audio_seconds

    def settle(self, turn: Turn, audio_seconds: float) -> None:
        """It took the engine's time for so much, whatever was expected."""
        self.had[turn.client] += audio_seconds - turn.audio_seconds

    def _start_of(self, client: str) -> float:
        return self.had[client] if client in self.turns else max(self.now, self.had.get(client, 0.0))
