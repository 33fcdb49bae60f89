"""What this machine is: GPUs, driver, memory, as far as it can be told without torch. `preflight.py` judges it."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.metadata
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Literal

# Packages whose version is that of the CUDA runtime that torch was built for: 12.8.90 is CUDA 12.8. From 13 on the
# name has no number.
_CUDA_PACKAGES = ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu13", "nvidia-cuda-runtime-cu12")

Driver = Literal["runs", "unknown", "no library", "not loaded", "fails"]


@dataclass(frozen=True)
class Gpu:
    """`capability`: compute capability, (7, 5) for a T4. Memory in bytes; `free` is what no process has."""

    name: str
    capability: tuple[int, int]
    memory: int
    free: int


@dataclass(frozen=True)
class Machine:
    """None: it cannot be told here, and nobody is to conclude anything from that.

    `driver`: how it fares by NVIDIA's library, "unknown" without that, and `driver_reason` its own words if it fails;
    `device_files`: whether the system has a GPU's device at all; `gpus`: those that this process may use; `cuda`: what
    the installed torch was built for; bytes of `memory` that a process may still have, and of `disk` that are free in
    the server's folder.
    """

    driver: Driver
    driver_reason: str = ""
    driver_version: str | None = None
    device_files: bool = False
    gpus: tuple[Gpu, ...] | None = ()
    hidden_gpus: int = 0
    cuda: tuple[int, int] | None = None
    memory: int | None = None
    disk: int | None = None


def machine_facts(environment: Mapping[str, str], work_dir: Path, system: Path = Path("/")) -> Machine:
    """`system` is the root of the file system, for tests."""
    machine = Machine(
        "unknown",
        device_files=any((system / "dev").glob("nvidia[0-9]*")),
        cuda=_cuda_version(),
        memory=memory_left(system),
        disk=_disk_left(work_dir),
    )
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return machine
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return replace(machine, driver=_driver_state(nvml, error), driver_reason=str(error))
    try:
        machine = replace(machine, driver="runs", driver_version=_text(nvml.nvmlSystemGetDriverVersion()))
        found = [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        if getattr(error, "value", None) == nvml.NVML_ERROR_GPU_IS_LOST:
            return replace(machine, driver="fails", driver_reason=str(error))
        # A container that is given a part of a GPU (MIG) may not ask for the whole.
        return replace(machine, gpus=None)
    finally:
        nvml.nvmlShutdown()
    visible = visible_gpus([uuid for uuid, _ in found], environment.get("CUDA_VISIBLE_DEVICES"))
    if visible is None:
        return replace(machine, gpus=None)
    return replace(machine, gpus=tuple(found[index][1] for index in visible), hidden_gpus=len(found) - len(visible))


def visible_gpus(uuids: list[str], wanted: str | None) -> list[int] | None:
    """Places of the GPUs that CUDA_VISIBLE_DEVICES names, by number or the beginning of their UUID; CUDA stops at the
    first that is not there: https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables
    None if it names a part of one (MIG).
    """
    if wanted is None:
        return list(range(len(uuids)))
    if "MIG-" in wanted:
        return None
    places: list[int] = []
    for name in (part.strip() for part in wanted.split(",")):
        if name.isascii() and name.isdigit():
            matching = [int(name)] if int(name) < len(uuids) else []
        else:
            matching = [place for place, uuid in enumerate(uuids) if name and uuid.startswith(name)]
        if len(matching) != 1:
            break
        places += matching
    return places


def memory_left(system: Path) -> int | None:
    """Bytes that a process may still take: of the machine, or of its container's limit (cgroup v2)."""
    left: list[int] = []
    with contextlib.suppress(OSError):
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", (system / "proc/meminfo").read_text(), re.MULTILINE)
        left += [int(found[1]) << 10] if found else []
    with contextlib.suppress(OSError, ValueError):
        group = system / "sys/fs/cgroup"
        most, now = int((group / "memory.max").read_text()), int((group / "memory.current").read_text())
        cached = re.search(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
        left.append(max(0, most - now + (int(cached[1]) if cached else 0)))
    return min(left, default=None)


def _disk_left(folder: Path) -> int | None:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free
    return None


def _gpu(nvml: ModuleType, index: int) -> tuple[str, Gpu]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    gpu = Gpu(_text(nvml.nvmlDeviceGetName(handle)), (int(major), int(minor)), int(memory.total), int(memory.free))
    return _text(nvml.nvmlDeviceGetUUID(handle)), gpu


def _text(value: str | bytes) -> str:
    """nvidia-ml-py gives text since 12; before that bytes."""
    return value.decode() if isinstance(value, bytes) else value


def _driver_state(nvml: ModuleType, error: Exception) -> Driver:
    code = getattr(error, "value", None)
    if code == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        # A container with NVIDIA_DRIVER_CAPABILITIES=compute has CUDA and not this library.
        return "unknown" if _has_cuda() else "no library"
    if code == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return "not loaded"
    # The library and the kernel's module are of different versions: CUDA fails on that too. All else torch will tell.
    return "fails" if code == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH else "unknown"


def _has_cuda() -> bool:
    """Whether the driver's own library for CUDA is there."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _cuda_version() -> tuple[int, int] | None:
    for package in _CUDA_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError, ValueError):
            major, minor, *_ = importlib.metadata.version(package).split(".")
            return int(major), int(minor)
    return None
