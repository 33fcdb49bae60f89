"""A day of a dubbing studio as a list of clips: invented traffic, the same for every signal that is compared.

Episodes come as hundreds of short lines at once, courses as long texts, and people try single lines all day.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

DAY_SECONDS = 12 * 3600
EPISODES, LINES = 9, (250, 550)
COURSES, CHAPTERS = 4, (10, 25)
TRIES_PER_SECOND = 1 / 45


@dataclass(frozen=True)
class Clip:
    """`at`: seconds since the day began; `audio`: seconds of sound; `job`: from the queue, not for one who waits."""

    at: float
    audio: float
    job: bool


def clips(seed: int) -> list[Clip]:
    """One day, from nine in the morning; jobs are handed in until late afternoon, single lines all day."""
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    day: list[Clip] = []
    for _ in range(EPISODES):
        at = dice.uniform(0, 0.75 * DAY_SECONDS)
        day += [Clip(at + index * 0.1, _line(dice), True) for index in range(dice.randint(*LINES))]
    for _ in range(COURSES):
        at = dice.uniform(0, 0.75 * DAY_SECONDS)
        day += [Clip(at + index * 0.1, dice.uniform(60, 180), True) for index in range(dice.randint(*CHAPTERS))]
    at = dice.expovariate(TRIES_PER_SECOND)
    while at < DAY_SECONDS:
        day.append(Clip(at, _line(dice), False))
        at += dice.expovariate(TRIES_PER_SECOND)
    return sorted(day, key=lambda clip: clip.at)


def _line(dice: random.Random) -> float:
    """A spoken line: a few seconds, seldom more than ten."""
    return min(20.0, max(0.8, dice.lognormvariate(1.1, 0.6)))
