"""How good the estimates are, as /metrics tells it."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from speech_server.metrics import Metrics


def told(metrics: Metrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    pairs = [line.rpartition(" ")[::2] for line in lines if line.startswith("speech_estimate")]
    return {name: float(value) for name, value in pairs}


class TestEstimates:
    def test_an_error_is_one_whichever_way_and_the_bias_says_which(self) -> None:
        metrics = Metrics()
        assert told(metrics)["speech_estimate_bias_ratio"] == 0
        for _ in range(400):
            metrics.estimated(1.2, 1.0)
        figures = told(metrics)
        assert figures["speech_estimate_error_ratio_count"] == 400
        assert figures['speech_estimate_error_ratio_bucket{le="0.15"}'] == 0
        assert figures['speech_estimate_error_ratio_bucket{le="0.3"}'] == 400
        assert figures["speech_estimate_bias_ratio"] == pytest.approx(0.2, rel=0.01)
        for _ in range(400):
            metrics.estimated(0.8, 1.0)
        assert told(metrics)["speech_estimate_bias_ratio"] == pytest.approx(-0.2, rel=0.01)

    def test_a_clip_of_a_single_sample_drowns_nothing(self) -> None:
        metrics = Metrics()
        metrics.estimated(4.0, 1 / 22_050)
        figures = told(metrics)
        assert figures["speech_estimate_error_ratio_sum"] == 10
        assert figures["speech_estimate_bias_ratio"] == pytest.approx(0.2)
