"""The system disk of a node on Alibaba Cloud."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from components.settings.model import Model

# https://www.alibabacloud.com/help/en/ecs/user-guide/essds: the smallest disk of each level, GiB.
_LEAST_OF_LEVEL = {"PL0": 1, "PL1": 20, "PL2": 461, "PL3": 1261}
# Beside the system image's 100 GiB: the server's image, about 10 GB unpacked and half of that as it comes, and weights
# of about 9 GB.
LEAST_GIB_WITH_WEIGHTS = 130
# What people try and what is wrong with it.
_DISKS_REFUSED = {
    "cloud_auto": "is not taken by the launch templates of a scaling group",
    "cloud_efficiency": "is too slow to start a GPU node from",
    "cloud": "is too slow to start a GPU node from",
    "cloud_ssd": "is not sold to the newer GPU types",
}


class DiskSettings(Model):
    """A node's system disk: its category, its performance level, and its size in GiB."""

    category: str
    level: Literal["PL0", "PL1", "PL2", "PL3"]
    gib: int = Field(ge=100, le=2048)

    @field_validator("category")
    @classmethod
    def _can_be_booted_from(cls, name: str) -> str:
        if name == "cloud_essd":
            return name
        raise ValueError(f"{_DISKS_REFUSED.get(name, 'is no category of disks')}; use cloud_essd")

    @field_validator("gib")
    @classmethod
    def _is_as_large_as_its_level(cls, gib: int, info: ValidationInfo) -> int:
        least = _LEAST_OF_LEVEL.get(info.data.get("level", ""), 0)
        if gib < least:
            raise ValueError(f"is less than a disk of {info.data['level']} has; give {least} or more, or a lower level")
        return gib
