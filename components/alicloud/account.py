"""Questions to the account, one function each; every answer is plain data. They raise what the SDK raises."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi
import pulumi_alicloud as alicloud
from pulumi_alicloud import alb, cs, dns, ecs, kms, quotas, vpc

# A driver and CUDA are on it: https://www.alibabacloud.com/help/en/ecs/user-guide/public-images
GPU_IMAGE = "^ubuntu_22_04_x64_100G_with_gpu_driver_and_cuda_alibase"


@dataclass(frozen=True)
class Image:
    """A machine image. `gib`: the smallest system disk that it fits on."""

    architecture: str
    gib: int


@dataclass(frozen=True)
class Quota:
    """What the account may run of one type in one zone, in `unit`."""

    total: float
    unit: str


def account_id(opts: pulumi.InvokeOptions) -> str:
    """Whose credentials these are."""
    return alicloud.get_caller_identity(opts=opts).account_id


def types_by_zone(opts: pulumi.InvokeOptions) -> dict[str, frozenset[str]]:
    """Of every zone of the provider's region that has anything to sell, the instance types that it lists."""
    found = alicloud.get_zones(available_resource_creation="Instance", enable_details=True, opts=opts)
    return {zone.id: frozenset(zone.available_instance_types) for zone in found.zones}


def zones_in_stock(family: str, opts: pulumi.InvokeOptions) -> dict[str, frozenset[str]]:
    """Of every type of `family` (ecs.gn6i) that is not sold out, the zones that have it now."""
    found = ecs.get_instance_types(instance_type_family=family, opts=opts)
    return {one.id: frozenset(one.availability_zones) for one in found.instance_types}


def load_balancer_zones(opts: pulumi.InvokeOptions) -> frozenset[str]:
    """The zones in which an Application Load Balancer can be."""
    return frozenset(zone.zone_id for zone in alb.get_zones(opts=opts).zones)


def vswitch_places(ids: tuple[str, ...], opts: pulumi.InvokeOptions) -> dict[str, tuple[str, str]]:
    """The VPC and the zone of each of the vSwitches that there are."""
    found = vpc.get_switches(ids=list(ids), opts=opts)
    return {one.id: (one.vpc_id, one.zone_id) for one in found.vswitches}


def newest_gpu_image(opts: pulumi.InvokeOptions) -> str | None:
    """The id of the region's newest GPU image; None if it has none."""
    found = ecs.get_images(owners="system", name_regex=GPU_IMAGE, architecture="x86_64", most_recent=True, opts=opts)
    return found.images[0].image_id if found.images else None


def image(image_id: str, opts: pulumi.InvokeOptions) -> Image | None:
    """What is known of an image; None if the account cannot see it in this region.

    Nodes still start from one that the vendor has deprecated, which is listed apart.
    """
    for status in ("Available", "Deprecated"):
        found = ecs.get_images(image_id=image_id, name_regex=".", status=status, opts=opts).images
        if found:
            return Image(found[0].architecture, found[0].size)
    return None


def public_domain(name: str, opts: pulumi.InvokeOptions) -> bool:
    """Whether the domain is in the account's Alibaba Cloud DNS."""
    return name in dns.get_alidns_domains(domain_name_regex=f"^{re.escape(name)}$", opts=opts).names


def registry_hosts(instance_id: str, opts: pulumi.InvokeOptions) -> frozenset[str] | None:
    """By which hosts an Enterprise instance can be reached; None if there is no such instance in the region."""
    found = cs.get_registry_enterprise_instances(ids=[instance_id], opts=opts).instances
    return frozenset([*found[0].public_endpoints, *found[0].vpc_endpoints]) if found else None


def kms_instances(opts: pulumi.InvokeOptions) -> frozenset[str]:
    """The ids of the KMS instances of the region."""
    return frozenset(kms.get_instances(opts=opts).ids)


def type_quota(instance_type: str, zone: str, region: str, opts: pulumi.InvokeOptions) -> Quota | None:
    """How much of a type the account may run on demand in a zone; None if Quota Center does not list it.

    https://www.alibabacloud.com/help/en/quota-center/developer-reference/api-quotas-2020-05-10-listproductquotas
    """
    dimensions = {
        "regionId": region,
        "zoneId": zone,
        "chargeType": "PostPaid",
        "networkType": "vpc",
        "resourceType": "InstanceType",
    }
    found = quotas.get_quotas(
        product_code="ecs-spec",
        quota_action_code=instance_type,
        dimensions=[quotas.GetQuotasDimensionArgs(key=key, value=value) for key, value in dimensions.items()],
        opts=opts,
    ).quotas
    return Quota(found[0].total_quota, found[0].quota_unit) if found else None
