"""Replays days of dubbing traffic and compares ways to scale by what they cost and how long clips wait.

    .venv/bin/python tools/bench/scaling_day.py [--days 5] [--factor 5.0]

A simulation: of the decisions, with invented traffic, not of AWS. Every node speaks one clip at a time; whoever waits
goes before jobs; a new node is paid for from its launch and speaks after its cold start; a node that is taken away
finishes its clip first. Needs the packages of the AWS target, whose figure it uses.
"""

from __future__ import annotations

import argparse
import heapq
import math
import statistics
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from components.aws.timing import USUAL_COLD_START_SECONDS  # noqa: E402 - found by the line above
from tools.bench.dubbing_day import DAY_SECONDS, Clip, clips  # noqa: E402
from tools.bench.scaling_signals import (  # noqa: E402
    Minute,
    QueriesPerSecond,
    backlog_count,
    request_count,
    work_demand,
)

# Synthesis seconds per second of audio: IndexTTS2 v2 in fp32 on a T4, as published.
T4_FACTOR = 5.0
LEAST, MOST = 1, 12
REPORT_SECONDS = 60

Signal = Callable[[Minute], int]
SIGNALS: dict[str, tuple[Callable[[float], Signal], Sequence[float]]] = {
    "work per node (this product)": (work_demand, (0.5, 0.6, 0.7, 0.8, 0.9)),
    "messages per node (SQS guide)": (backlog_count, (5, 10, 20, 40, 80)),
    "requests per node (ALB)": (request_count, (0.5, 1, 2, 4, 8)),
    "queries per second (SkyPilot)": (QueriesPerSecond, (0.005, 0.01, 0.02, 0.05, 0.1)),
    "as many as ever (no scaling)": (lambda nodes: lambda _minute: int(nodes), (2, 4, 6, 9, 12)),
}


@dataclass(frozen=True)
class Outcome:
    """Hours of nodes paid for, and the seconds that 95 of 100 single lines and jobs waited to be spoken at most."""

    node_hours: float
    lines_wait: float
    jobs_wait: float


@dataclass
class _Node:
    launched: float
    ready_at: float
    speaking_until: float = field(default=0.0)
    leaving: bool = field(default=False)


def replay(day: Sequence[Clip], signal: Signal, factor: float) -> Outcome:
    """One day under one signal, until the last clip is spoken."""
    lines: deque[Clip] = deque()
    jobs: deque[Clip] = deque()
    nodes = [_Node(0, 0) for _ in range(LEAST)]
    waits: dict[bool, list[float]] = {True: [], False: []}
    paid, busy, came, clip_work, at = 0.0, 0.0, 0, 30.0, 0.0
    # What happens next: a clip comes (0), a node becomes free or ready (1), a minute ends (2).
    events: list[tuple[float, int, int]] = [(clip.at, 0, index) for index, clip in enumerate(day)]
    events.append((REPORT_SECONDS, 2, 0))
    heapq.heapify(events)
    while events:
        at, kind, index = heapq.heappop(events)
        if kind == 0:
            (jobs if day[index].job else lines).append(day[index])
            came += 1
        if kind == 2:
            ready = [node for node in nodes if node.ready_at <= at and not node.leaving]
            minute = Minute(
                busy=min(1.0, busy / REPORT_SECONDS / max(len(ready), 1)),
                requests=came,
                waiting=len(lines) + len(jobs),
                clip_work=clip_work,
                ready=len(ready),
                wanted=sum(not node.leaving for node in nodes),
            )
            _resize(nodes, min(MOST, max(LEAST, signal(minute))), at, events)
            busy, came = 0.0, 0
            for node in nodes:
                # The part of a clip under way that falls into the next minute.
                busy += min(max(node.speaking_until - at, 0.0), REPORT_SECONDS)
            if at < DAY_SECONDS or lines or jobs or any(node.speaking_until > at for node in nodes):
                heapq.heappush(events, (at + REPORT_SECONDS, 2, 0))
        for node in nodes:
            if node.leaving or node.ready_at > at or node.speaking_until > at or not (lines or jobs):
                continue
            clip = (lines or jobs).popleft()
            work = clip.audio * factor
            waits[clip.job].append(at - clip.at)
            clip_work += 0.1 * (work - clip_work)
            node.speaking_until = at + work
            busy += min(work, REPORT_SECONDS - at % REPORT_SECONDS)
            heapq.heappush(events, (node.speaking_until, 1, 0))
        gone = [node for node in nodes if node.leaving and node.speaking_until <= at]
        paid += sum(at - node.launched for node in gone)
        nodes = [node for node in nodes if node not in gone]
    paid += sum(at - node.launched for node in nodes)
    return Outcome(paid / 3600, _late(waits[False]), _late(waits[True]))


def _resize(nodes: list[_Node], wanted: int, at: float, events: list[tuple[float, int, int]]) -> None:
    """Launches what is missing; lets go of what is too much, nodes that boot or idle first."""
    staying = [node for node in nodes if not node.leaving]
    for _ in range(wanted - len(staying)):
        ready_at = at + USUAL_COLD_START_SECONDS
        nodes.append(_Node(at, ready_at))
        heapq.heappush(events, (ready_at, 1, 0))
    staying.sort(key=lambda node: (node.ready_at <= at, node.speaking_until))
    for node in staying[: max(len(staying) - wanted, 0)]:
        node.leaving = True


def _late(waits: Sequence[float]) -> float:
    """What 95 of 100 waited at most; 0 of none."""
    return sorted(waits)[math.ceil(0.95 * len(waits)) - 1] if waits else 0.0


def compare(days: Sequence[Sequence[Clip]], factor: float) -> list[tuple[str, float, Outcome]]:
    """Each signal at each of its targets: the means over the days."""
    rows: list[tuple[str, float, Outcome]] = []
    for name, (make, targets) in SIGNALS.items():
        for target in targets:
            found = [replay(day, make(target), factor) for day in days]
            mean = Outcome(
                statistics.fmean(one.node_hours for one in found),
                statistics.fmean(one.lines_wait for one in found),
                statistics.fmean(one.jobs_wait for one in found),
            )
            rows.append((name, target, mean))
    return rows


def table(rows: Sequence[tuple[str, float, Outcome]]) -> str:
    """As Markdown."""
    lines = [
        "| signal | target | node hours | single lines wait (s) | jobs wait (min) |",
        "| --- | --: | --: | --: | --: |",
    ]
    lines += [
        f"| {name} | {target:g} | {one.node_hours:.1f} | {one.lines_wait:.0f} | {one.jobs_wait / 60:.0f} |"
        for name, target, one in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=5, help="how many days of traffic to replay")
    parser.add_argument("--factor", type=float, default=T4_FACTOR, help="synthesis seconds per second of audio")
    arguments = parser.parse_args()
    days = [clips(seed) for seed in range(arguments.days)]
    audio = statistics.fmean(sum(clip.audio for clip in day) for day in days)
    print(
        f"{arguments.days} days of {statistics.fmean(map(len, days)):.0f} clips and {audio / 3600:.1f} h of audio; "
        f"real-time factor {arguments.factor:g}, so {audio * arguments.factor / 3600:.0f} h of synthesis; "
        f"{LEAST} to {MOST} nodes, cold start {USUAL_COLD_START_SECONDS} s; 95th percentiles, means over the days\n"
    )
    print(table(compare(days, arguments.factor)))


if __name__ == "__main__":
    main()
