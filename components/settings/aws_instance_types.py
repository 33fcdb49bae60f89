"""The EC2 instance types that a node can be: NVIDIA GPUs that the maintained GPU images drive, on x86_64."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

QuotaGroup = Literal["G and VT", "P"]


@dataclass(frozen=True)
class Family:
    """GPUs of one kind. `memory` is GB of one GPU, `sizes` maps a size to its vCPUs."""

    gpu: str
    memory: int
    quota: QuotaGroup
    sizes: dict[str, int]


_G = {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64}
_G_LARGE = {**_G, "24xlarge": 96, "48xlarge": 192}

# https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
FAMILIES = {
    "g4dn": Family("T4", 16, "G and VT", {**_G, "metal": 96}),
    "g5": Family("A10G", 24, "G and VT", _G_LARGE),
    "g6": Family("L4", 24, "G and VT", _G_LARGE),
    "g6e": Family("L40S", 48, "G and VT", _G_LARGE),
    "gr6": Family("L4", 24, "G and VT", {"4xlarge": 16, "8xlarge": 32}),
    "p4d": Family("A100", 40, "P", {"24xlarge": 96}),
    "p4de": Family("A100", 80, "P", {"24xlarge": 96}),
    "p5": Family("H100", 80, "P", {"4xlarge": 16, "48xlarge": 192}),
}

# What people try and what is wrong with it.
_REFUSED = {
    "p3": "its V100 (Volta) is no longer driven by the maintained GPU images, whose driver is newer than R580",
    "p3dn": "its V100 (Volta) is no longer driven by the maintained GPU images, whose driver is newer than R580",
    "p2": "its K80 (Kepler) is no longer driven by any maintained GPU image",
    "g3": "its M60 (Maxwell) is no longer driven by the maintained GPU images",
    "g3s": "its M60 (Maxwell) is no longer driven by the maintained GPU images",
    "g2": "its K520 (Kepler) is no longer driven by any maintained GPU image",
    "g4ad": "its GPU is AMD's, and the server needs CUDA",
    "g5g": "its processor is arm64, and the server's image is built for x86_64",
    "g6f": "it has a fraction of a GPU, with less memory than the model needs",
    "gr6f": "it has a fraction of a GPU, with less memory than the model needs",
}
REMEDY = "use g4dn.xlarge (T4), g5.xlarge (A10G) or g6.xlarge (L4)"


def vcpus(instance_type: str) -> int:
    """vCPUs of a type that `problem` finds nothing wrong with."""
    family, _, size = instance_type.partition(".")
    return FAMILIES[family].sizes[size]


def gpu(instance_type: str) -> str:
    """The GPU of a type that `problem` finds nothing wrong with."""
    return FAMILIES[instance_type.partition(".")[0]].gpu


def quota_group(instance_type: str) -> QuotaGroup:
    """Which of the account's vCPU quotas the type counts against."""
    return FAMILIES[instance_type.partition(".")[0]].quota


def problem(instance_type: str) -> str | None:
    """Why a node cannot be of this type and what would do; None if it can."""
    family, dot, size = instance_type.partition(".")
    if family in _REFUSED:
        return f"cannot be a node: {_REFUSED[family]}; {REMEDY}"
    if family in FAMILIES and size in FAMILIES[family].sizes:
        return None
    known = [f"{name}.{one}" for name, kind in FAMILIES.items() for one in kind.sizes]
    if family in FAMILIES and dot:
        sizes = ", ".join(FAMILIES[family].sizes)
        return f"{family} has no size {size!r}; its sizes are {sizes}"
    close = difflib.get_close_matches(instance_type, known, n=1, cutoff=0.8)
    return f"is no GPU type that a node can be; {f'did you mean {close[0]}?' if close else REMEDY}"
