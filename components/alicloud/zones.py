"""Whether the zones of the stack's file sell what the stack needs.

They are held against the account's own lists and never taken from them: what is sold out is not listed, and a stack
must not move to other zones because of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from components.settings import AlicloudSettings
from components.settings.alicloud_instance_types import names


@dataclass(frozen=True)
class Offers:
    """`sold`: of each zone the types that it lists. `stock`: of each type the zones that have it now."""

    sold: Mapping[str, frozenset[str]]
    stock: Mapping[str, frozenset[str]]

    def zones_of(self, name: str) -> frozenset[str]:
        """Every zone that either list says sells this type."""
        return frozenset(zone for zone, types in self.sold.items() if name in types) | self.stock.get(name, frozenset())


def zone_problems(
    settings: AlicloudSettings, offers: Offers, balancer_zones: frozenset[str] | None
) -> tuple[list[str], list[str]]:
    """What is wrong with the zones and the types, and what whoever deploys should know.

    `balancer_zones`: where a load balancer can be; None if that is not known.
    """
    selling = frozenset(zone for name in settings.instance_types for zone in offers.zones_of(name))
    fit = selling if balancer_zones is None else selling & balancer_zones
    problems = [_not_sold(name, settings, offers) for name in settings.instance_types if not offers.zones_of(name)]
    if problems:
        return problems, []
    remedy = (
        f"those that do are {', '.join(sorted(fit))}"
        if len(fit) > 1
        else f"fewer than two zones of {settings.region} do; add a type, or choose another region"
    )
    if not settings.zones:
        return [f"indextts2:zones: []: is empty; name two zones or more that sell the instance types: {remedy}"], []
    idle = [zone for zone in settings.zones if zone not in selling]
    if idle:
        problems.append(
            f"indextts2:zones: {list(settings.zones)!r}: {', '.join(idle)} sells none of "
            f"{', '.join(settings.instance_types)}; {remedy}"
        )
    bare = [zone for zone in settings.zones if balancer_zones is not None and zone not in balancer_zones]
    if bare:
        problems.append(
            f"indextts2:zones: {list(settings.zones)!r}: in {', '.join(bare)} there can be no load balancer; {remedy}"
        )
    return problems, _sold_out(settings, offers)


def vswitch_problems(settings: AlicloudSettings, places: Mapping[str, tuple[str, str]]) -> list[str]:
    """What is wrong with an existing network's vSwitches. `places`: the VPC and the zone of each that was found."""
    network = settings.network
    problems: list[str] = []
    for key, ids in (("subnetIds", network.subnet_ids), ("loadBalancerSubnetIds", network.load_balancer_subnet_ids)):
        for vswitch, zone in zip(ids, settings.zones, strict=False):
            vpc, place = places.get(vswitch, (None, None))
            shown = f"indextts2:network.{key}: {vswitch!r}:"
            if place is None:
                problems.append(f"{shown} cannot be found in {settings.region}; correct the id, or the region")
            elif vpc != network.vpc_id:
                problems.append(f"{shown} is in {vpc} and not in network.vpcId, {network.vpc_id}; give one of that VPC")
            elif place != zone:
                problems.append(
                    f"{shown} is in {place}, and its place in the list is that of {zone}; write zones and vSwitches in "
                    "the same order"
                )
    return problems


def _sold_out(settings: AlicloudSettings, offers: Offers) -> list[str]:
    """The zones that have none of the types now, though they sell them."""
    empty = [
        zone
        for zone in settings.zones
        if not any(zone in offers.stock.get(name, frozenset()) for name in settings.instance_types)
    ]
    if not empty:
        return []
    return [
        f"indextts2:zones: {', '.join(empty)}: {', '.join(settings.instance_types)} is sold out there now; nodes start "
        "in the other zones meanwhile, if these have some"
    ]


def _not_sold(name: str, settings: AlicloudSettings, offers: Offers) -> str:
    sold = [one for one in names() if offers.zones_of(one)]
    remedy = f"use one of {', '.join(sold)}, or" if sold else "it sells no GPU that a node can be;"
    return f"indextts2:instanceTypes: {name!r}: is not sold in {settings.region}; {remedy} choose another region"
