"""Whether the account may run as many GPU nodes as the stack wants. New accounts may run none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from components.settings import AwsSettings
from components.settings.aws_instance_types import FAMILIES, QuotaGroup, quota_group, vcpus


@dataclass(frozen=True)
class Quota:
    """One of EC2's quotas of vCPUs, which count spot and on-demand instances apart."""

    code: str
    name: str


@dataclass(frozen=True)
class Need:
    """vCPUs that `nodes.max` nodes take of a quota."""

    quota: Quota
    vcpus: int


# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
_ON_DEMAND: dict[QuotaGroup, Quota] = {
    "G and VT": Quota("L-DB2E81BA", "Running On-Demand G and VT instances"),
    "P": Quota("L-417A185B", "Running On-Demand P instances"),
}
_SPOT: dict[QuotaGroup, Quota] = {
    "G and VT": Quota("L-3819A6DF", "All G and VT Spot Instance Requests"),
    "P": Quota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
}
_SPOT_P5 = Quota("L-C4BD4855", "All P5 Spot Instance Requests")


def needs(settings: AwsSettings) -> tuple[Need, ...]:
    """What the largest fleet takes. Where types differ, of the largest: the group may buy any of them."""
    nodes = settings.nodes
    on_demand = nodes.on_demand_base if nodes.spot else nodes.max
    wanted: dict[Quota, int] = {}
    for name in settings.instance_types:
        for quota, count in ((_ON_DEMAND[quota_group(name)], on_demand), (_spot(name), nodes.max - on_demand)):
            wanted[quota] = max(wanted.get(quota, 0), count * vcpus(name))
    return tuple(Need(quota, count) for quota, count in wanted.items() if count)


def quota_problems(settings: AwsSettings, limits: Mapping[str, float]) -> list[str]:
    """A problem for each quota below its need. `limits` maps a quota's code to vCPUs; one that is unknown is none."""
    return [
        f"indextts2:nodes.max: {settings.nodes.max}: needs {need.vcpus} vCPUs of {need.quota.name!r} "
        f"({need.quota.code}), and the account has {limits[need.quota.code]:g} in {settings.region}; lower nodes.max, "
        f"or ask for more: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code "
        f"{need.quota.code} --desired-value {need.vcpus} --region {settings.region}"
        for need in needs(settings)
        if need.vcpus > limits.get(need.quota.code, need.vcpus)
    ]


def _spot(instance_type: str) -> Quota:
    return _SPOT_P5 if FAMILIES[instance_type.partition(".")[0]].gpu == "H100" else _SPOT[quota_group(instance_type)]
