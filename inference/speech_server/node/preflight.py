"""Whether a machine can run the `indextts2` engine: what is wrong, and what to do. Decided from plain facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from speech_server.engines.indextts2.footprint import choose_footprint
from speech_server.engines.indextts2.packages import Package
from speech_server.engines.indextts2.precision import Capability, PrecisionError, choose_precision
from speech_server.node.facts import Gpu, Machine

# The oldest driver for each generation of CUDA ("minor version compatibility"):
# https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
OLDEST_DRIVERS = {11: 450, 12: 525, 13: 580}
# What torch's wheels for CUDA 12.8 are built for: https://github.com/pytorch/pytorch/releases/tag/v2.8.0
_LEAST_CAPABILITY: Capability = (7, 0)
_GB = 10**9
# Peaks on a paragraph for version 2.5 (README of indextts25-inference 0.2.0, RTX 5090); for version 2 the weights
# alone (the parameters of the released checkpoints). Less than this cannot do; a little more need not suffice.
_GPU_BYTES = {
    ("2.5", "fp32"): 6.0 * _GB,
    ("2.5", "bf16"): 4.3 * _GB,
    ("2", "fp32"): 6.9 * _GB,
    ("2", "fp16"): 5.1 * _GB,
}
_EMOTION_MODEL_BYTES = 1.2 * _GB
# torch and what it imports, beside the file that it is reading.
_IMPORT_BYTES = 1.0 * _GB
# Callers' samples, the newest 640 of them at most a few hundred megabytes.
_WORK_BYTES = 0.2 * _GB


class PreflightError(Exception):
    """This machine cannot run the engine as it is; the message has every problem with its remedy."""


@dataclass(frozen=True)
class Problem:
    """`what` is wrong, and the `remedy`: both whole sentences' worth, without an end."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


@dataclass(frozen=True)
class Needs:
    """What the engine is set to, as in its settings: `device` None is the first GPU, `low_memory` None is by the card.
    `largest_file`: of the weights, in bytes; `emotion_model`: whether the text-emotion model is among them.
    """

    package: Package
    precision: str
    device: str | None
    low_memory: bool | None
    largest_file: int
    emotion_model: bool


def problems(machine: Machine, needs: Needs) -> list[Problem]:
    """Everything at once, the cause before its consequences."""
    found = [*_memory(machine, needs), *_disk(machine)]
    if needs.device != "cpu":
        found = [*_gpu(machine, needs), *found]
    return found


def _gpu(machine: Machine, needs: Needs) -> Iterator[Problem]:
    if machine.driver == "unknown":
        return  # torch will tell
    if machine.driver != "runs":
        yield _no_driver(machine)
        return
    yield from _driver_age(machine)
    if machine.gpus is None:
        return
    if not machine.gpus:
        yield _no_gpu(machine)
        return
    place = int((needs.device or "cuda:0").removeprefix("cuda:"))
    if place >= len(machine.gpus):
        yield Problem(
            f"SPEECH_ENGINE_DEVICE=cuda:{place}, and there are {len(machine.gpus)} GPUs to be seen",
            f"use cuda:0{f' to cuda:{len(machine.gpus) - 1}' if len(machine.gpus) > 1 else ''}, or leave it out",
        )
        return
    yield from _card(machine.gpus[place], needs)


def _no_driver(machine: Machine) -> Problem:
    if machine.driver == "no library":
        if machine.device_files:
            return Problem(
                "there is a GPU and no NVIDIA driver library (libnvidia-ml.so.1)",
                "start the container with the NVIDIA runtime and NVIDIA_DRIVER_CAPABILITIES=compute,utility",
            )
        return Problem(
            "no GPU is visible: neither NVIDIA's driver library nor a /dev/nvidia device",
            "take a machine with an NVIDIA GPU and driver, start the container with --gpus all, or set "
            "SPEECH_ENGINE_DEVICE=cpu (very slow)",
        )
    if machine.driver == "not loaded":
        return Problem(
            "the NVIDIA driver is not loaded",
            "run nvidia-smi on the machine; after a new kernel build the driver again, or restart the machine",
        )
    return Problem(
        f"the NVIDIA driver does not answer ({machine.driver_reason})",
        "run nvidia-smi on the machine; a library and a kernel module of different versions need a restart of it",
    )


def _no_gpu(machine: Machine) -> Problem:
    if machine.hidden_gpus:
        return Problem(
            f"CUDA_VISIBLE_DEVICES hides all {machine.hidden_gpus} GPUs of this machine",
            "unset it, or name one of them",
        )
    return Problem("the NVIDIA driver sees no GPU", "run nvidia-smi on the machine; give the container --gpus all")


def _driver_age(machine: Machine) -> Iterator[Problem]:
    if machine.cuda is None or machine.driver_version is None:
        return
    oldest = OLDEST_DRIVERS.get(machine.cuda[0])
    major = machine.driver_version.partition(".")[0]
    if oldest is not None and major.isdigit() and int(major) < oldest:
        yield Problem(
            f"the NVIDIA driver {machine.driver_version} is too old for torch's CUDA "
            f"{machine.cuda[0]}.{machine.cuda[1]}, which wants {oldest} or newer",
            f"install driver {oldest} or newer on the machine, or take a newer machine image",
        )


def _card(gpu: Gpu, needs: Needs) -> Iterator[Problem]:
    if gpu.capability < _LEAST_CAPABILITY:
        yield Problem(
            f"the {gpu.name} has compute capability {_dotted(gpu.capability)}, and torch needs "
            f"{_dotted(_LEAST_CAPABILITY)} or more",
            "use a T4, A10G, L4 or a newer card",
        )
        return
    low = choose_footprint(needs.low_memory, gpu.memory, None).low
    try:
        precision = choose_precision(needs.precision, needs.package, gpu.capability, low)
    except PrecisionError as error:
        yield Problem(f"SPEECH_ENGINE_PRECISION={needs.precision} on the {gpu.name}", str(error))
        return
    wanted = _GPU_BYTES[needs.package.version, precision]
    if needs.emotion_model and not low:  # in low-memory mode it stays on the CPU
        wanted += _EMOTION_MODEL_BYTES
    if gpu.memory < wanted:
        yield Problem(
            f"the {gpu.name} has {_gigabytes(gpu.memory)} of memory, and version {needs.package.version} in "
            f"{precision} needs {_gigabytes(wanted)} at least",
            "use a card with 16 GB" + ("" if low else ", or set SPEECH_ENGINE_LOW_MEMORY=true"),
        )
    elif gpu.free < wanted:
        yield Problem(
            f"of the {gpu.name}'s {_gigabytes(gpu.memory)} other processes have left {_gigabytes(gpu.free)}, and "
            f"version {needs.package.version} in {precision} needs {_gigabytes(wanted)} at least",
            "end them (nvidia-smi lists them), or give this server another GPU by CUDA_VISIBLE_DEVICES",
        )


def _memory(machine: Machine, needs: Needs) -> Iterator[Problem]:
    """torch reads a file of weights whole before it goes to the GPU."""
    wanted = needs.largest_file + _IMPORT_BYTES
    if machine.memory is not None and machine.memory < wanted:
        yield Problem(
            f"{_gigabytes(machine.memory)} of main memory are left, and loading needs {_gigabytes(wanted)} at least",
            "end other processes, raise the container's memory limit, or take a machine with 16 GB",
        )


def _disk(machine: Machine) -> Iterator[Problem]:
    if machine.disk is not None and machine.disk < _WORK_BYTES:
        yield Problem(
            f"the server's folder has {_gigabytes(machine.disk)} left, and callers' samples need "
            f"{_gigabytes(_WORK_BYTES)}",
            "make room there, or set SPEECH_WORK_DIR to a folder with more",
        )


def _gigabytes(count: float) -> str:
    return f"{count / _GB:.1f} GB"


def _dotted(capability: Capability) -> str:
    return f"{capability[0]}.{capability[1]}"
