"""Answers to the functions of Alibaba Cloud that a program calls, as an account would give them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from tests.engine.standin.account import Account

# Sold in the invented account, by zone letter, whatever the region.
SOLD = {
    "ecs.gn6i-c4g1.xlarge": "ghijkln",
    "ecs.gn6i-c8g1.2xlarge": "ghijkln",
    "ecs.gn6i-c16g1.4xlarge": "hij",
    "ecs.gn7i-c8g1.2xlarge": "hijkln",
    "ecs.gn7i-c16g1.4xlarge": "hij",
    "ecs.gn6e-c12g1.3xlarge": "h",
}
ZONES = "bghijkln"
BALANCER_ZONES = "ghijkln"
GPU_IMAGE = "ubuntu_22_04_x64_100G_with_gpu_driver_and_cuda_alibase_20260101.vhd"
IMAGE_GIB = 100
DOMAIN = "example.cn"
REGISTRY_INSTANCE = "cri-0123456789abcdef"
REGISTRY = "studio-registry"
KMS_INSTANCE = "kst-hzz0123456789abcdefg"
# vCPUs, generous; `Account.quotas` overrides them by instance type.
QUOTA = 512.0


def _caller(account: Account, _region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "accountId": account.number,
        "arn": f"acs:ram::{account.number}:user/stand-in",
        "identityType": "RAMUser",
        "id": account.number,
    }


def _place(region: str, letter: str) -> str:
    """cn-hangzhou-h, us-west-1a."""
    return f"{region}{'' if region[-1].isdigit() else '-'}{letter}"


def _zones(_account: Account, region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    zones = [
        {
            "id": _place(region, letter),
            "localName": letter,
            "availableInstanceTypes": [kind for kind, letters in SOLD.items() if letter in letters],
            "availableDiskCategories": ["cloud_essd", "cloud_auto"],
            "availableResourceCreations": ["Instance", "Disk", "VSwitch"],
            "multiZoneIds": [],
            "slbSlaveZoneIds": [],
        }
        for letter in ZONES
    ]
    return {"zones": zones, "ids": [zone["id"] for zone in zones], "id": region}


def _instance_types(_account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    family = arguments.get("instanceTypeFamily")
    found = [
        {
            "id": kind,
            "availabilityZones": [_place(region, letter) for letter in letters],
            "cpuCoreCount": 4,
            "memorySize": 15.0,
            "family": kind.partition("-")[0],
            "gpus": [{"amount": "1", "category": "NVIDIA T4"}],
        }
        for kind, letters in SOLD.items()
        if family in (None, kind.partition("-")[0])
    ]
    return {"instanceTypes": found, "ids": [one["id"] for one in found], "id": region}


def _balancer_zones(_account: Account, region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    zones = [
        {"id": place, "zoneId": place, "localName": place}
        for place in (_place(region, letter) for letter in BALANCER_ZONES)
    ]
    return {"zones": zones, "ids": [zone["id"] for zone in zones], "id": region}


def _images(account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One image, the public one; by another account's id as much as by its name."""
    asked = arguments.get("imageId", GPU_IMAGE)
    there = asked == GPU_IMAGE and re.search(arguments.get("nameRegex", ""), GPU_IMAGE)
    images = [
        {
            "id": GPU_IMAGE,
            "imageId": GPU_IMAGE,
            "name": GPU_IMAGE,
            "architecture": account.architecture,
            "size": IMAGE_GIB,
            "osType": "linux",
            "status": "Available",
        }
    ]
    images = images if there else []
    return {"images": images, "ids": [image["id"] for image in images], "id": region}


def _quotas(account: Account, _region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    code = arguments.get("quotaActionCode", "")
    quota = {
        "id": code,
        "quotaActionCode": code,
        "quotaName": code,
        "quotaUnit": "vCPU",
        "totalQuota": account.quotas.get(code, QUOTA),
        "totalUsage": 0.0,
        "adjustable": True,
    }
    return {"quotas": [quota], "names": [code], "ids": [code], "id": arguments["productCode"]}


def _domains(_account: Account, _region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in (DOMAIN,) if re.search(arguments.get("domainNameRegex", ""), name)]
    return {"domains": [{"domainName": name, "domainId": name} for name in names], "names": names, "id": "domains"}


def _registries(_account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One instance; its token is another one each time, as the registry's."""
    asked = arguments.get("ids", [REGISTRY_INSTANCE])
    instance = {
        "id": REGISTRY_INSTANCE,
        "name": REGISTRY,
        "region": region,
        "specification": "Standard",
        "status": "RUNNING",
        "publicEndpoints": [f"{REGISTRY}.{region}.cr.aliyuncs.com"],
        "vpcEndpoints": [f"{REGISTRY}-vpc.{region}.cr.aliyuncs.com"],
        "tempUsername": "cr_temp_user",
        "authorizationToken": secrets.token_hex(16),
    }
    instances = [instance] if REGISTRY_INSTANCE in asked else []
    return {"instances": instances, "names": [one["name"] for one in instances], "id": region}


def _kms_instances(_account: Account, region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"instances": [{"id": KMS_INSTANCE, "kmsInstanceId": KMS_INSTANCE}], "ids": [KMS_INSTANCE], "id": region}


def _switches(account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the account had before: their zone is the last letter of their id."""
    found = [
        {
            "id": identity,
            "vpcId": "vpc-bp10fedcba9876543210",
            "zoneId": _place(region, identity[-1]),
            "cidrBlock": f"172.16.{number}.0/24",
            "name": identity,
            "vswitchName": identity,
        }
        for number, identity in enumerate(arguments.get("ids", []))
        if identity in account.existing
    ]
    return {"vswitches": found, "names": [one["name"] for one in found], "id": region}


ANSWERS = {
    "alicloud:index/getCallerIdentity:getCallerIdentity": _caller,
    "alicloud:index/getZones:getZones": _zones,
    "alicloud:ecs/getInstanceTypes:getInstanceTypes": _instance_types,
    "alicloud:ecs/getImages:getImages": _images,
    "alicloud:alb/getZones:getZones": _balancer_zones,
    "alicloud:quotas/getQuotas:getQuotas": _quotas,
    "alicloud:dns/getAlidnsDomains:getAlidnsDomains": _domains,
    "alicloud:cs/getRegistryEnterpriseInstances:getRegistryEnterpriseInstances": _registries,
    "alicloud:kms/getInstances:getInstances": _kms_instances,
    "alicloud:vpc/getSwitches:getSwitches": _switches,
}
