"""A measured figure and its row in the report."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the report; `limit` is what the project holds itself to, "" where it set none."""

    what: str
    figure: str
    limit: str = ""


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def in_turn(first: Callable[[], object], second: Callable[[], object], runs: int) -> tuple[list[float], list[float]]:
    """Seconds of both, measured A B A B ..., after one of each that is not counted."""
    first(), second()
    pairs = [(seconds(first), seconds(second)) for _ in range(runs)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios pair by pair, which a drift of the machine's speed does not move."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def table(rows: Sequence[Row]) -> str:
    widths = [max(len(row.what) for row in rows), max(len(row.figure) for row in rows)]
    return "\n".join(f"  {row.what:<{widths[0]}}  {row.figure:<{widths[1]}}  {row.limit}".rstrip() for row in rows)
