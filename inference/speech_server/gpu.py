"""NVIDIA GPUs, for the engines' places and for /metrics, where the `nvidia-ml-py` package and a driver are."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from functools import partial
from types import ModuleType

from speech_server.metrics import Metrics

log = logging.getLogger("speech_server.gpu")


def gpu_uuids() -> list[str]:
    """Each GPU that the driver shows this process, as CUDA_VISIBLE_DEVICES takes it; none without NVML."""
    try:
        nvml, handles = _gpus()
    except _NoGpuError:
        return []
    try:
        return [_text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    except nvml.NVMLError as error:
        log.warning("gpus_not_told", extra={"fields": {"reason": str(error)}})
        return []


def watch_gpus(metrics: Metrics) -> int:
    """Add each GPU's memory, utilisation and temperature to `metrics`; how many there are.

    A GPU that cannot be asked later on reads as NaN.
    """
    try:
        nvml, handles = _gpus()
    except _NoGpuError as error:
        log.info("no_gpu", extra={"fields": {"reason": str(error)}})
        return 0
    for index, handle in enumerate(handles):
        for name, documentation, value in _GAUGES:
            metrics.watch(name, documentation, partial(_asked, nvml, value, handle), gpu=str(index))
    return len(handles)


class _NoGpuError(Exception):
    """And why."""


def _gpus() -> tuple[ModuleType, list[object]]:
    """NVML, initialised (as often as one likes), and its handles. Raises _NoGpuError."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        raise _NoGpuError("nvidia-ml-py is not installed") from None
    try:
        nvml.nvmlInit()
        return nvml, [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise _NoGpuError(str(error)) from None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value  # bytes in old versions of the package


def _asked(nvml: ModuleType, value: Callable[[ModuleType, object], float], handle: object) -> float:
    try:
        return value(nvml, handle)
    except nvml.NVMLError:
        return float("nan")


_GAUGES: tuple[tuple[str, str, Callable[..., float]], ...] = (
    (
        "speech_gpu_memory_used_bytes",
        "Memory of the GPU in use, by all processes",
        lambda nvml, handle: nvml.nvmlDeviceGetMemoryInfo(handle).used,
    ),
    (
        "speech_gpu_memory_total_bytes",
        "Memory of the GPU",
        lambda nvml, handle: nvml.nvmlDeviceGetMemoryInfo(handle).total,
    ),
    (
        "speech_gpu_utilization_ratio",
        "Part of the last sample period in which the GPU computed, 0-1",
        lambda nvml, handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
    ),
    (
        "speech_gpu_temperature_celsius",
        "The GPU's temperature",
        lambda nvml, handle: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
    ),
)
