"""A stand-in for NVIDIA's management library: one card, the one that the stand-in for torch simulates.

It has the calls that the server makes, by NVIDIA's names, and refuses them before nvmlInit and after nvmlShutdown as
the library does: https://docs.nvidia.com/deploy/nvml-api/
"""

# ruff: noqa: N802 - NVIDIA's names

from __future__ import annotations

import os
from types import SimpleNamespace

import torch

NVML_ERROR_UNINITIALIZED = 1
NVML_ERROR_INVALID_ARGUMENT = 2
NVML_ERROR_DRIVER_NOT_LOADED = 9
NVML_ERROR_LIBRARY_NOT_FOUND = 12
NVML_ERROR_GPU_IS_LOST = 15
NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18
NVML_TEMPERATURE_GPU = 0

_MESSAGES = {
    NVML_ERROR_UNINITIALIZED: "Uninitialized",
    NVML_ERROR_INVALID_ARGUMENT: "Invalid Argument",
    NVML_ERROR_DRIVER_NOT_LOADED: "Driver Not Loaded",
    NVML_ERROR_LIBRARY_NOT_FOUND: "NVML Shared Library Not Found",
}
_initialised = 0


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(_MESSAGES[value])
        self.value = value


def nvmlInit() -> None:
    """STAND_IN_NVML in the environment: "none" without the library, "unloaded" without the driver's module."""
    global _initialised
    state = os.environ.get("STAND_IN_NVML", "")
    if state == "none" or not torch.simulated.gpu:
        raise NVMLError(NVML_ERROR_LIBRARY_NOT_FOUND)
    if state == "unloaded":
        raise NVMLError(NVML_ERROR_DRIVER_NOT_LOADED)
    _initialised += 1


def nvmlShutdown() -> None:
    global _initialised
    _check()
    _initialised -= 1


def nvmlSystemGetDriverVersion() -> str:
    _check()
    return os.environ.get("STAND_IN_DRIVER", "595.58.03")


def nvmlDeviceGetCount() -> int:
    _check()
    return 1


def nvmlDeviceGetHandleByIndex(index: int) -> int:
    _check()
    if index != 0:
        raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
    return index


def nvmlDeviceGetName(handle: int) -> str:
    _check(handle)
    return "Simulated T4"


def nvmlDeviceGetUUID(handle: int) -> str:
    _check(handle)
    return "GPU-5a1e0000-0000-0000-0000-000000000000"


def nvmlDeviceGetCudaComputeCapability(handle: int) -> tuple[int, int]:
    _check(handle)
    return torch.simulated.capability


def nvmlDeviceGetMemoryInfo(handle: int) -> SimpleNamespace:
    _check(handle)
    total = torch.simulated.total_memory
    return SimpleNamespace(total=total, used=0, free=total)


def nvmlDeviceGetUtilizationRates(handle: int) -> SimpleNamespace:
    _check(handle)
    return SimpleNamespace(gpu=0, memory=0)


def nvmlDeviceGetTemperature(handle: int, sensor: int) -> int:
    _check(handle)
    if sensor != NVML_TEMPERATURE_GPU:
        raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
    return 40


def _check(handle: int = 0) -> None:
    if not _initialised:
        raise NVMLError(NVML_ERROR_UNINITIALIZED)
    if handle != 0:
        raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
