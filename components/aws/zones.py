"""In which zones the nodes live."""

from __future__ import annotations

from collections.abc import Mapping

from components.settings import AwsSettings

# Two are what a load balancer needs; a third gives spot another pool. Each more costs a NAT gateway.
MAX_CHOSEN = 3

Offers = Mapping[str, frozenset[str]]
"""Of every GPU type that a node can be, the zones of the region that sell it."""


def choose_zones(settings: AwsSettings, offers: Offers) -> tuple[tuple[str, ...], list[str]]:
    """The zones, those of the stack's file if it names any, and what is wrong with it."""
    selling = {zone for name in settings.instance_types for zone in offers.get(name, ())}
    problems = [_not_sold(name, settings.region, offers) for name in settings.instance_types if not offers.get(name)]
    if problems:
        return settings.zones, problems
    if settings.zones:
        idle = [zone for zone in settings.zones if zone not in selling]
        if idle:
            problems.append(
                f"indextts2:zones: {list(settings.zones)!r}: {', '.join(idle)} sells none of "
                f"{', '.join(settings.instance_types)}; those that do are {', '.join(sorted(selling))}"
            )
        return settings.zones, problems
    if len(selling) < 2:
        problems.append(
            f"indextts2:instanceTypes: {list(settings.instance_types)!r}: only {', '.join(selling)} sells them, and "
            "the load balancer needs two zones; add a type, or choose another region"
        )
    return tuple(sorted(selling)[:MAX_CHOSEN]), problems


def existing_zones(
    settings: AwsSettings, subnets: Mapping[str, tuple[str, str]], offers: Offers
) -> tuple[tuple[str, ...], list[str]]:
    """The zones of an existing network's node subnets, and what is wrong with them.

    `subnets` maps each subnet's id, those of the load balancer included, to its VPC and zone.
    """
    network = settings.network
    problems = [
        f"indextts2:network.subnetIds: {subnet!r}: is in {vpc} and not in network.vpcId, {network.vpc_id}; give "
        "subnets of one VPC"
        for subnet, (vpc, _zone) in subnets.items()
        if vpc != network.vpc_id
    ]
    zones = tuple(sorted({subnets[subnet][1] for subnet in network.subnet_ids}))
    for key, ids in (("subnetIds", network.subnet_ids), ("loadBalancerSubnetIds", network.load_balancer_subnet_ids)):
        own = {subnets[subnet][1] for subnet in ids}
        if ids and len(own) < 2:
            problems.append(
                f"indextts2:network.{key}: {list(ids)!r}: are all in {', '.join(own)}; "
                "give one in each of two zones or more"
            )
    if settings.zones and set(settings.zones) != set(zones):
        problems.append(
            f"indextts2:zones: {list(settings.zones)!r}: the subnets of network.subnetIds are in {', '.join(zones)}; "
            "remove zones, or give the same"
        )
    _, unsold = choose_zones(settings.model_copy(update={"zones": zones}), offers)
    return zones, problems + unsold


def _not_sold(name: str, region: str, offers: Offers) -> str:
    sold = sorted(one for one, zones in offers.items() if zones)
    remedy = f"use one of {', '.join(sold)}, or" if sold else "it sells no GPU that a node can be;"
    return f"indextts2:instanceTypes: {name!r}: is not sold in {region}; {remedy} choose another region"
