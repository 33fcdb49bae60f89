"""The ECS instance types that a node can be: whole NVIDIA GPUs that the maintained GPU images drive, on x86_64."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """GPUs of one kind. `memory` is GB of one GPU, `sizes` maps a size to its vCPUs."""

    gpu: str
    memory: int
    sizes: dict[str, int]


# https://www.alibabacloud.com/help/en/ecs/user-guide/gpu-accelerated-compute-optimized-and-vgpu-accelerated-instance-families
# (read 2026-11)
FAMILIES = {
    "gn6i": Family(
        "T4",
        16,
        {
            "c4g1.xlarge": 4,
            "c8g1.2xlarge": 8,
            "c16g1.4xlarge": 16,
            "c24g1.6xlarge": 24,
            "c40g1.10xlarge": 40,
            "c24g1.12xlarge": 48,
            "c24g1.24xlarge": 96,
        },
    ),
    "gn7i": Family(
        "A10",
        24,
        {
            "c8g1.2xlarge": 8,
            "c16g1.4xlarge": 16,
            "c32g1.8xlarge": 32,
            "c48g1.12xlarge": 48,
            "c56g1.14xlarge": 56,
            "c32g1.16xlarge": 64,
            "c32g1.32xlarge": 128,
        },
    ),
    "gn7": Family("A100", 40, {"c12g1.3xlarge": 12, "c13g1.13xlarge": 52, "c13g1.26xlarge": 104}),
    "gn7e": Family("A100", 80, {"c16g1.4xlarge": 16, "c16g1.8xlarge": 32, "c16g1.16xlarge": 64, "c16g1.32xlarge": 128}),
    "gn7s": Family(
        "A30",
        24,
        {
            "c8g1.2xlarge": 8,
            "c16g1.4xlarge": 16,
            "c32g1.8xlarge": 32,
            "c32g1.16xlarge": 64,
            "c32g1.32xlarge": 128,
            "c48g1.12xlarge": 48,
            "c56g1.14xlarge": 56,
        },
    ),
    "gn8is": Family("L20", 48, {"2xlarge": 8, "4xlarge": 16}),
    "gn8is-2x": Family("L20", 48, {"8xlarge": 32}),
    "gn8is-4x": Family("L20", 48, {"16xlarge": 64}),
    "gn8is-8x": Family("L20", 48, {"32xlarge": 128}),
}

# What people try and what is wrong with it.
_FRACTION = "it has a fraction of a GPU, with less memory than the model needs and a licensed driver of its own"
_REFUSED = {
    "gn6v": "its V100 (Volta) is no longer driven by NVIDIA's drivers newer than R580",
    "gn6e": "its V100 (Volta) is no longer driven by NVIDIA's drivers newer than R580",
    "gn5": "its P100 (Pascal) is no longer driven by NVIDIA's drivers newer than R580",
    "gn5i": "its P4 has 8 GB, less memory than the model needs",
    "vgn6i": _FRACTION,
    "vgn7i": _FRACTION,
    "sgn7i": _FRACTION,
}
REMEDY = "use ecs.gn6i-c4g1.xlarge (T4), ecs.gn7i-c8g1.2xlarge (A10) or another gn6i, gn7i, gn7s, gn7, gn7e or gn8is"


def vcpus(instance_type: str) -> int:
    """vCPUs of a type that `problem` finds nothing wrong with."""
    return _all()[instance_type]


def gpu(instance_type: str) -> str:
    """The GPU of a type that `problem` finds nothing wrong with."""
    return FAMILIES[instance_type.split(".")[1].partition("-")[0]].gpu


def names() -> tuple[str, ...]:
    """Every type that a node can be."""
    return tuple(_all())


def problem(instance_type: str) -> str | None:
    """Why a node cannot be of this type and what would do; None if it can."""
    known = _all()
    if instance_type in known:
        return None
    rest = instance_type.removeprefix("ecs.")
    generation = rest.replace(".", "-").partition("-")[0]
    if generation in _REFUSED:
        return f"cannot be a node: {_REFUSED[generation]}; {REMEDY}"
    if f"ecs.{instance_type}" in known:
        return f"lacks its first part; write ecs.{instance_type}"
    close = difflib.get_close_matches(instance_type, known, n=1, cutoff=0.8)
    return f"is no GPU type that a node can be; {f'did you mean {close[0]}?' if close else REMEDY}"


def _all() -> dict[str, int]:
    # The size's first part tells vCPUs and GPUs apart within a family and is joined to it: ecs.gn6i-c4g1.xlarge. A
    # family without such parts is followed by a dot: ecs.gn8is.2xlarge.
    return {
        f"ecs.{family}{'-' if '.' in size else '.'}{size}": count
        for family, kind in FAMILIES.items()
        for size, count in kind.sizes.items()
    }
