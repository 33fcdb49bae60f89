"""What /metrics tells, and nothing else: one registry a process, so that tests may have many."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from speech_server.tally import Distributions, Tallies

_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_RTF_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_ERROR_BUCKETS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 4)
_MOST_ERROR = 10.0  # a clip of nothing much must not drown the others
_BIAS_CALLS = 50
_LENGTH_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


class Metrics:
    """The counters, by what they count; each is called with its labels' values, if it has any, and then counts.

    `clients` is the registry of what tells one client from another; only an administrator gets to see it.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.clients = clients = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self.requests = Tallies(registry, "speech_http_requests", "Requests answered", "method", "route", "status")
        self.latency = Distributions(
            registry,
            "speech_http_request_duration_seconds",
            "From a request's headers to the end of its answer",
            _LATENCY_BUCKETS,
            "route",
        )
        self.first_audio = Distributions(
            registry,
            "speech_time_to_first_audio_seconds",
            "From a request's headers to the first byte of its sound",
            _LATENCY_BUCKETS,
        )
        self.audio_seconds = Tallies(registry, "speech_audio_seconds", "Seconds of speech that the engine spoke")
        self.synthesis_seconds = Tallies(registry, "speech_synthesis_seconds", "Seconds that the engine was speaking")
        self.real_time_factor = Distributions(
            registry, "speech_real_time_factor", "Synthesis seconds per second of audio, a call", _RTF_BUCKETS
        )
        self.clip_seconds = Distributions(
            registry, "speech_clip_seconds", "Length of the speech of a call", _LENGTH_BUCKETS
        )
        self.estimate_error = Distributions(
            registry,
            "speech_estimate_error_ratio",
            "How far the estimated length was from the spoken one, over the spoken one, a call",
            _ERROR_BUCKETS,
        )
        self._bias = 0.0
        self.watch(
            "speech_estimate_bias_ratio",
            f"Estimated over spoken length less 1, over about {_BIAS_CALLS} calls: above 0 is too long",
            lambda: self._bias,
        )
        self.lane_wait = Distributions(
            registry, "speech_lane_wait_seconds", "Wait for the engine's turn", _LATENCY_BUCKETS, "kind"
        )
        self.refused = Tallies(
            registry, "speech_requests_refused", "Requests that admission refused, by the error's code", "code"
        )
        self.engine_restarts = Tallies(
            registry, "speech_engine_restarts", "Engine processes that ended: fault, recycled or unloaded", "reason"
        )
        self.engine_retries = Tallies(registry, "speech_engine_retries", "Calls repeated after an engine fault")
        self.engine_out_of_memory = Tallies(
            registry, "speech_engine_out_of_memory", "Calls that the engine had no memory for"
        )
        self.dedup_hits = Tallies(
            registry,
            "speech_dedup_hits",
            "Requests answered by another's synthesis: one still running, or one stored",
            "kind",
        )
        self.streams = Tallies(
            registry,
            "speech_streams",
            "Clips that were sent while they were spoken, by how that ended: complete, client_left or failed",
            "ended",
        )
        self.client_clips = Tallies(clients, "speech_client_clips", "Clips made, by client", "client", "kind")
        self.client_audio = Tallies(
            clients, "speech_client_audio_seconds", "Audio seconds of clips made, by client", "client", "kind"
        )

    def spoken(self, audio_seconds: float, synthesis_seconds: float) -> None:
        """The engine answered a call."""
        self.audio_seconds().inc(audio_seconds)
        self.synthesis_seconds().inc(synthesis_seconds)
        self.real_time_factor().observe(synthesis_seconds / audio_seconds)
        self.clip_seconds().observe(audio_seconds)

    def estimated(self, estimated_seconds: float, spoken_seconds: float) -> None:
        """What a call's natural length (> 0) was estimated to be, and was."""
        error = min(_MOST_ERROR, estimated_seconds / spoken_seconds - 1)
        self.estimate_error().observe(abs(error))
        self._bias += (error - self._bias) / _BIAS_CALLS

    def watch(self, name: str, documentation: str, value: Callable[[], float], **labels: str) -> None:
        """A gauge that is asked when /metrics is."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(name, documentation, tuple(labels), registry=self.registry)
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set_function(value)
