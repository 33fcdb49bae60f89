"""Ways to decide how many nodes there should be, each as its own system does it.

Each is asked once a minute with what can be known then, and answers with the number that it wants.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from components.aws.scaling import demand

# Target tracking: three minutes above the target add nodes, fifteen below nine tenths of it take some away:
# https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html
HIGH_MINUTES, LOW_MINUTES, LOW_SHARE = 3, 15, 0.9
# SkyPilot Serve's own defaults (sky/serve/constants.py).
QPS_WINDOW_MINUTES, UPSCALE_MINUTES, DOWNSCALE_MINUTES = 1, 5, 20


@dataclass(frozen=True)
class Minute:
    """What was reported of the last minute. `wanted`: nodes asked for so far; `ready`: those that speak."""

    busy: float
    """Part of the time in which a ready node spoke, 0-1."""
    requests: int
    """Clips that came, whether as requests or as jobs."""
    waiting: int
    """Clips that wait."""
    clip_work: float
    """Seconds of synthesis that a clip took lately."""
    ready: int
    wanted: int


@dataclass
class TargetTracking:
    """AWS's target tracking of a figure that falls as nodes are added."""

    figure: Callable[[Minute], float]
    target: float
    above: int = field(default=0)
    below: int = field(default=0)

    def __call__(self, minute: Minute) -> int:
        found = self.figure(minute)
        self.above = self.above + 1 if found > self.target else 0
        self.below = self.below + 1 if found < LOW_SHARE * self.target else 0
        needed = math.ceil(max(minute.ready, 1) * found / self.target)
        if self.above >= HIGH_MINUTES:
            return max(minute.wanted, needed)
        if self.below >= LOW_MINUTES and minute.ready >= minute.wanted:
            return min(minute.wanted, needed)
        return minute.wanted


@dataclass
class QueriesPerSecond:
    """SkyPilot Serve: requests per second over a target, wanted for five minutes to grow and twenty to shrink."""

    target: float
    more: int = field(default=0)
    fewer: int = field(default=0)

    def __call__(self, minute: Minute) -> int:
        needed = math.ceil(minute.requests / 60 / self.target)
        self.more = self.more + 1 if needed > minute.wanted else 0
        self.fewer = self.fewer + 1 if needed < minute.wanted else 0
        if self.more >= UPSCALE_MINUTES or self.fewer >= DOWNSCALE_MINUTES:
            self.more = self.fewer = 0
            return needed
        return minute.wanted


def work_demand(target: float) -> TargetTracking:
    """The product's figure: busy time and waiting seconds of work."""
    return TargetTracking(
        lambda minute: demand(minute.busy, 0, minute.waiting, minute.clip_work, max(minute.ready, 1)), target
    )


def request_count(target: float) -> TargetTracking:
    """ALBRequestCountPerTarget: requests a minute and node."""
    return TargetTracking(lambda minute: minute.requests / max(minute.ready, 1), target)


def backlog_count(target: float) -> TargetTracking:
    """Messages a node, as AWS's guide to SQS scaling has it."""
    return TargetTracking(lambda minute: minute.waiting / max(minute.ready, 1), target)
