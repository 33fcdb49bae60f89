"""GPU figures, by a stand-in for NVIDIA's library: there is no such card where tests run."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest

from speech_server.gpu import gpu_uuids, watch_gpus
from speech_server.metrics import Metrics


class NvmlStandIn(ModuleType):
    """Answers as pynvml does for two cards, and refuses what was not initialised."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def __init__(self, driver: bool = True) -> None:
        super().__init__("pynvml")
        self.driver = driver
        self.initialised = False
        self.lost = False

    def nvmlInit(self) -> None:  # noqa: N802 - NVIDIA's names
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")
        self.initialised = True

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        assert self.initialised
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-{handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        if self.lost:
            raise self.NVMLError("GPU is lost")
        return SimpleNamespace(used=1000 + handle, total=16 << 30)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=50 * handle)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:  # noqa: N802
        assert sensor == self.NVML_TEMPERATURE_GPU
        return 60


class TestGpus:
    def test_each_card_has_its_figures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nvml, metrics = NvmlStandIn(), Metrics()
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        assert watch_gpus(metrics) == 2
        text = generate_latest(metrics.registry).decode()
        assert 'speech_gpu_memory_used_bytes{gpu="0"} 1000.0' in text
        assert 'speech_gpu_memory_used_bytes{gpu="1"} 1001.0' in text
        assert 'speech_gpu_utilization_ratio{gpu="1"} 0.5' in text
        nvml.lost = True
        assert 'speech_gpu_memory_used_bytes{gpu="0"} NaN' in generate_latest(metrics.registry).decode()

    def test_without_a_driver_there_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", NvmlStandIn(driver=False))
        metrics = Metrics()
        assert watch_gpus(metrics) == 0
        assert b"speech_gpu" not in generate_latest(metrics.registry)

    def test_without_the_package_there_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", None)
        assert watch_gpus(Metrics()) == 0

    def test_each_is_named_as_cuda_takes_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", NvmlStandIn())
        assert gpu_uuids() == ["GPU-0", "GPU-1"]
        monkeypatch.setitem(sys.modules, "pynvml", NvmlStandIn(driver=False))
        assert gpu_uuids() == []
        monkeypatch.setitem(sys.modules, "pynvml", None)
        assert gpu_uuids() == []
