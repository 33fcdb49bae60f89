"""Which address ranges a network's vSwitches have."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

# Thirty-two equal blocks: the first sixteen for nodes, the others for load balancers. A zone's letter, a to p, says
# which of the sixteen is its own, so that a zone that comes or goes moves no other.
_SPLIT_BITS = 5
_LETTERS = "abcdefghijklmnop"
# The first address and the last three of a vSwitch are the system's:
# https://www.alibabacloud.com/help/en/vpc/user-guide/plan-a-vpc
_RESERVED = 4


@dataclass(frozen=True)
class ZoneSubnets:
    """One zone's ranges. The load balancer has one of its own, so that nodes can tell it from each other."""

    zone: str
    nodes: str
    load_balancer: str

    @property
    def letter(self) -> str:
        """The zone's last letter: it names resources alike in every region."""
        return self.zone[-1]


def plan_subnets(cidr: str, zones: tuple[str, ...]) -> tuple[ZoneSubnets, ...]:
    """The vSwitches of `zones` (cn-hangzhou-h, ...) in `cidr`. Raises ValueError for a letter that is not a to p."""
    blocks = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=_SPLIT_BITS))
    return tuple(
        ZoneSubnets(
            zone,
            nodes=str(blocks[_LETTERS.index(zone[-1])]),
            load_balancer=str(blocks[len(_LETTERS) + _LETTERS.index(zone[-1])]),
        )
        for zone in zones
    )


def node_room(cidr: str, zones: tuple[str, ...]) -> int:
    """How many nodes the vSwitches of `zones` in `cidr` can hold, if they are spread evenly."""
    size = ipaddress.IPv4Network(cidr).num_addresses >> _SPLIT_BITS
    return (size - _RESERVED) * len(zones)
