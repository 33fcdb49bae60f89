"""The counters say to Prometheus what its own library's would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from speech_server.metrics import Metrics
from speech_server.tally import Distributions, Tallies

BOUNDS = (0.005, 0.5, 1, 2.5, 600)


def lines(registry: CollectorRegistry) -> list[str]:
    found = generate_latest(registry).decode().splitlines()
    return sorted(line for line in found if "_created" not in line)


class TestAsTheLibraryWould:
    @given(st.lists(st.sampled_from([0.0, 0.005, 0.0051, 0.5, 1.0, 2.0, 600.0, 601.0]), max_size=20))
    def test_a_histogram(self, values: list[float]) -> None:
        ours, theirs = CollectorRegistry(), CollectorRegistry()
        distributions = Distributions(ours, "wait_seconds", "A wait", BOUNDS, "kind")
        histogram = Histogram("wait_seconds", "A wait", ["kind"], buckets=BOUNDS, registry=theirs)
        for value in values:
            distributions("x").observe(value)
            histogram.labels("x").observe(value)
        assert lines(ours) == lines(theirs)

    def test_a_counter(self) -> None:
        ours, theirs = CollectorRegistry(), CollectorRegistry()
        tallies = Tallies(ours, "requests", "Requests", "route", "status")
        counter = Counter("requests", "Requests", ["route", "status"], registry=theirs)
        for labels in [("/a", "200"), ("/a", "200"), ('/"b"\n', "500")]:
            tallies(*labels).inc(1.5)
            counter.labels(*labels).inc(1.5)
        assert lines(ours) == lines(theirs)

    def test_what_has_no_labels_is_there_from_the_start(self) -> None:
        text = "\n".join(lines(Metrics().registry))
        assert "speech_engine_retries_total 0.0" in text
        assert "speech_time_to_first_audio_seconds_count 0.0" in text


class TestWatch:
    def test_one_gauge_with_several_labels(self) -> None:
        metrics = Metrics()
        for name, value in (("a", 1.0), ("b", 2.0)):
            metrics.watch("depth", "How deep", lambda value=value: value, queue=name)
        assert {'depth{queue="a"} 1.0', 'depth{queue="b"} 2.0'} <= set(lines(metrics.registry))
