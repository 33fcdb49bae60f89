"""Disks: every one is encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rules.rule import UNKNOWN, Resource, ResourceRule

_NOT = "is not encrypted; set encrypted to true"


def unencrypted_disk(resource: Resource, _stack: str) -> Iterator[str]:
    """A volume, or a disk that an instance or its template brings along, without encryption."""
    check = _CHECKS.get(resource.type)
    if check:
        yield from check(resource)


def _is_off(value: Any) -> bool:
    return value is not UNKNOWN and str(value).lower() != "true"


def _aws_template(resource: Resource) -> Iterator[str]:
    mappings = resource.get("blockDeviceMappings")
    if mappings is UNKNOWN:
        return
    if not resource.items("blockDeviceMappings"):
        yield "blockDeviceMappings is empty, and the image's disks are taken as they are; map them with encrypted: true"
    for mapping in resource.items("blockDeviceMappings"):
        disk = mapping.get("ebs")
        if isinstance(disk, dict) and _is_off(disk.get("encrypted")):
            yield f"the disk {mapping.get('deviceName')} {_NOT}"


def _aws_instance(resource: Resource) -> Iterator[str]:
    root = resource.get("rootBlockDevice")
    if root is not UNKNOWN and _is_off((root or {}).get("encrypted")):
        yield f"the root disk {_NOT}"
    for disk in resource.items("ebsBlockDevices"):
        if _is_off(disk.get("encrypted")):
            yield f"the disk {disk.get('deviceName')} {_NOT}"


def _itself(resource: Resource) -> Iterator[str]:
    if _is_off(resource.get("encrypted")):
        yield f"the disk {_NOT}"


def _system_disk_by(name: str, disks: str) -> Any:
    def check(resource: Resource) -> Iterator[str]:
        if _is_off(resource.get(name)):
            yield f"the system disk {_NOT.replace('encrypted to', f'{name} to')}"
        for number, disk in enumerate(resource.items(disks)):
            if _is_off(disk.get("encrypted")):
                yield f"{disks}[{number}] {_NOT}"

    return check


def _alicloud_template(resource: Resource) -> Iterator[str]:
    disk = resource.get("systemDisk")
    if disk is not UNKNOWN and _is_off((disk or {}).get("encrypted")):
        yield f"the system disk {_NOT}"
    for number, data in enumerate(resource.items("dataDisks")):
        if _is_off(data.get("encrypted")):
            yield f"dataDisks[{number}] {_NOT}"


_CHECKS = {
    "aws:ec2/launchTemplate:LaunchTemplate": _aws_template,
    "aws:ec2/instance:Instance": _aws_instance,
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest": _aws_instance,
    "aws:ec2/launchConfiguration:LaunchConfiguration": _aws_instance,
    "aws:ebs/volume:Volume": _itself,
    "aws:efs/fileSystem:FileSystem": _itself,
    "alicloud:ecs/ecsDisk:EcsDisk": _itself,
    "alicloud:ecs/disk:Disk": _itself,
    "alicloud:ecs/instance:Instance": _system_disk_by("systemDiskEncrypted", "dataDisks"),
    "alicloud:ess/scalingConfiguration:ScalingConfiguration": _system_disk_by("systemDiskEncrypted", "dataDisks"),
    "alicloud:ecs/ecsLaunchTemplate:EcsLaunchTemplate": _alicloud_template,
}

UNENCRYPTED_DISK = ResourceRule("unencrypted-disk", "Every disk is encrypted.", unencrypted_disk)
