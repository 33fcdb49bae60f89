"""What /metrics tells, and nothing else: one registry a process, so that tests may have many."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_RTF_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """The counters, by what they count."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "speech_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "speech_http_request_duration_seconds",
            "From a request's headers to the end of its answer",
            ["route"],
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "speech_http_requests_in_flight", "Requests being answered, probes not counted", registry=self.registry
        )
        self.audio_seconds = Counter(
            "speech_audio_seconds", "Seconds of speech that the engine spoke", registry=self.registry
        )
        self.synthesis_seconds = Counter(
            "speech_synthesis_seconds", "Seconds that the engine was speaking", registry=self.registry
        )
        self.real_time_factor = Histogram(
            "speech_real_time_factor",
            "Synthesis seconds per second of audio, a call",
            buckets=_RTF_BUCKETS,
            registry=self.registry,
        )
        self.lane_wait = Histogram(
            "speech_lane_wait_seconds",
            "Wait for the engine's turn",
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.refused = Counter(
            "speech_lane_refused", "Requests refused because the wait was too long", registry=self.registry
        )
        self.engine_restarts = Counter("speech_engine_restarts", "Engine processes that ended", registry=self.registry)
        self.engine_retries = Counter(
            "speech_engine_retries", "Calls repeated after an engine fault", registry=self.registry
        )
        self.dedup_hits = Counter(
            "speech_dedup_hits",
            "Requests answered by another's synthesis: one still running, or one stored",
            ["kind"],
            registry=self.registry,
        )

    def watch(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        """A gauge that is asked when /metrics is."""
        Gauge(name, documentation, registry=self.registry).set_function(value)
