"""Counting for /metrics in the event loop's own thread: the client library's counters take a lock for every one.

What is counted is handed to the client library when /metrics is asked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        self.value += amount


class Distribution:
    """How many observations fell into each bucket, and their sum. `bounds` are the buckets' upper ends, ascending."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Tallies(Collector):
    """A counter with labels: `tallies("GET", "200").inc()`. Without labels: `tallies().inc()`."""

    def __init__(self, registry: CollectorRegistry, name: str, documentation: str, *labels: str) -> None:
        self._family = (name, documentation, labels)
        self._tallies: dict[tuple[str, ...], Tally] = {}
        if not labels:
            self()
        registry.register(self)

    def __call__(self, *values: str) -> Tally:
        tally = self._tallies.get(values)
        if tally is None:
            tally = self._tallies[values] = Tally()
        return tally

    def collect(self) -> Iterator[CounterMetricFamily]:
        name, documentation, labels = self._family
        family = CounterMetricFamily(name, documentation, labels=labels)
        for values, tally in self._tallies.items():
            family.add_metric(values, tally.value)
        yield family


class Distributions(Collector):
    """A histogram with labels: `distributions("/generate").observe(0.1)`."""

    def __init__(
        self, registry: CollectorRegistry, name: str, documentation: str, bounds: Sequence[float], *labels: str
    ) -> None:
        self._family = (name, documentation, labels)
        self._bounds = bounds
        self._distributions: dict[tuple[str, ...], Distribution] = {}
        if not labels:
            self()
        registry.register(self)

    def __call__(self, *values: str) -> Distribution:
        distribution = self._distributions.get(values)
        if distribution is None:
            distribution = self._distributions[values] = Distribution(self._bounds)
        return distribution

    def collect(self) -> Iterator[HistogramMetricFamily]:
        name, documentation, labels = self._family
        family = HistogramMetricFamily(name, documentation, labels=labels)
        for values, distribution in self._distributions.items():
            total, buckets = 0, []
            for bound, count in zip((*self._bounds, float("inf")), distribution.counts, strict=True):
                total += count
                buckets.append((floatToGoString(bound), float(total)))
            family.add_metric(values, buckets, distribution.sum)
        yield family
