"""Questions to the account, one function each; every answer is plain data. They raise what the SDK raises."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws
from pulumi_aws import ec2, route53, servicequotas, ssm

from components.settings.aws_instance_types import FAMILIES

# A driver, Docker and the container toolkit are on it, and nothing that a node does not need:
# https://docs.aws.amazon.com/dlami/latest/devguide/
GPU_IMAGE = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"


def account_id(opts: pulumi.InvokeOptions) -> str:
    """Whose credentials these are."""
    return aws.get_caller_identity(opts=opts).account_id


def gpu_offers(opts: pulumi.InvokeOptions) -> dict[str, frozenset[str]]:
    """Of every type that a node can be, the zones of the provider's region that sell it."""
    found = ec2.get_instance_type_offerings(
        location_type="availability-zone",
        filters=[
            ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=[f"{family}.*" for family in FAMILIES])
        ],
        opts=opts,
    )
    sold = list(zip(found.instance_types, found.locations, strict=True))
    return {
        name: frozenset(zone for one, zone in sold if one == name)
        for name in (f"{family}.{size}" for family, kind in FAMILIES.items() for size in kind.sizes)
    }


def vcpu_quota(code: str, opts: pulumi.InvokeOptions) -> float:
    """The account's limit in the provider's region, in vCPUs."""
    return servicequotas.get_service_quota(service_code="ec2", quota_code=code, opts=opts).value


def subnet_place(subnet_id: str, opts: pulumi.InvokeOptions) -> tuple[str, str]:
    """The subnet's VPC and zone."""
    found = ec2.get_subnet(id=subnet_id, opts=opts)
    return found.vpc_id, found.availability_zone


def newest_gpu_image(opts: pulumi.InvokeOptions) -> str:
    """The id of the region's newest GPU image."""
    return ssm.get_parameter(name=GPU_IMAGE, opts=opts).insecure_value


def image_architecture(ami: str, opts: pulumi.InvokeOptions) -> str:
    """The processor that the image is for: x86_64, arm64."""
    return ec2.get_ami(filters=[ec2.GetAmiFilterArgs(name="image-id", values=[ami])], opts=opts).architecture


def public_zone(zone: str, by_id: bool, opts: pulumi.InvokeOptions) -> tuple[str, str]:
    """The id and the name, without a dot at its end, of a hosted zone that the internet sees."""
    found = (
        route53.get_zone(zone_id=zone, opts=opts)
        if by_id
        else route53.get_zone(name=zone, private_zone=False, opts=opts)
    )
    return found.zone_id, found.name.rstrip(".")
