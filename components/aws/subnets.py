"""Which address ranges a network's subnets have."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

# Sixteen equal blocks: the first eight for nodes, the others for load balancers and NAT. A zone's letter, a to h, says
# which of the eight is its own, so that a zone that comes or goes moves no other.
_SPLIT_BITS = 4
_LETTERS = "abcdefgh"


@dataclass(frozen=True)
class ZoneSubnets:
    """One zone's ranges. Without a `private` one, nodes live in the public one."""

    zone: str
    public: str
    private: str | None

    @property
    def letter(self) -> str:
        """The zone's last letter: it names resources alike in every region."""
        return self.zone[-1]


def plan_subnets(cidr: str, zones: tuple[str, ...], private: bool) -> tuple[ZoneSubnets, ...]:
    """The subnets of `zones` (us-west-2a, ...) in `cidr`. Raises ValueError for a zone whose letter is not a to h."""
    blocks = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=_SPLIT_BITS))
    return tuple(
        ZoneSubnets(
            zone,
            public=str(blocks[len(_LETTERS) + _LETTERS.index(zone[-1])]),
            private=str(blocks[_LETTERS.index(zone[-1])]) if private else None,
        )
        for zone in zones
    )
