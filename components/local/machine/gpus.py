"""Which NVIDIA GPUs this machine's driver shows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

ANSWER_SECONDS = 30
QUERY = ("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits")

# The oldest driver with which the libraries of a CUDA release run.
# https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}


@dataclass(frozen=True)
class Gpu:
    name: str
    driver: str
    """The driver's version, say 535.183.01."""
    memory_mib: int


def installed(environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...] | str:
    """The GPUs, at least one; or why none can be used, and what to do."""
    if environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU; unset it"
    program = shutil.which("nvidia-smi", path=environment.get("PATH", os.defpath))
    if program is None:
        return "no NVIDIA driver: nvidia-smi is not on PATH; install the driver of your GPU"
    try:
        done = subprocess.run(
            [program, *QUERY], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_SECONDS,
            errors="replace", check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the NVIDIA driver does not answer ({error}); restart the machine or install the driver anew"
    return read_answer(done.stdout) or _no_answer(done.stdout + done.stderr)


def read_answer(text: str) -> tuple[Gpu, ...]:
    """The GPUs in what nvidia-smi printed: a line `NAME, DRIVER, MEMORY in MiB` for each; other lines are none."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.rsplit(",", 2)]
        if len(parts) == 3 and _major(parts[1]) and parts[2].isascii() and parts[2].isdigit():
            found.append(Gpu(parts[0], parts[1], int(parts[2])))
    return tuple(found)


def driver_problem(gpus: tuple[Gpu, ...], cuda: int) -> str | None:
    """Why the driver cannot run libraries of this major version of CUDA, and what to do."""
    oldest = OLDEST_DRIVER.get(cuda)
    found = gpus[0].driver  # one driver runs all GPUs of a machine
    if oldest is None or _major(found) >= oldest:
        return None
    return f"the NVIDIA driver {found} is too old for CUDA {cuda}; install {oldest} or newer"


def _no_answer(text: str) -> str:
    said = " ".join(text.split())[:300]
    said = "".join(character if character.isprintable() else "?" for character in said)
    return f"the NVIDIA driver shows no GPU (nvidia-smi: {said or 'nothing'}); install the driver of your GPU"


def _major(version: str) -> int:
    """535 of 535.183.01; 0 of what is no version."""
    first = version.partition(".")[0]
    return int(first) if first.isascii() and first.isdigit() else 0
