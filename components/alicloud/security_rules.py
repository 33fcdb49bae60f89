"""Who reaches a node and whom it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from components.contracts import SERVER_PORT

ANYWHERE = "0.0.0.0/0"
# Where the cloud's own services are inside a VPC: names, clock, metadata, object storage, mirrors of packages:
# https://www.alibabacloud.com/help/en/ecs/user-guide/security-group-rules
CLOUD = "100.64.0.0/10"
HTTPS = 443
# The highest number is the lowest priority; of two rules with the same, the refusing one wins.
FIRST, LAST = 1, 100


@dataclass(frozen=True)
class Rule:
    """Whether what comes from (`ingress`) or goes to (`egress`) `peer` may.

    `peer`: an address range, or the zone whose load balancer's vSwitch it is. `port`: of TCP; None: everything.
    """

    direction: Literal["ingress", "egress"]
    port: int | None
    peer: str
    accept: bool = True

    @property
    def label(self) -> str:
        """A name of its own in its group, alike in every region."""
        if self.direction == "ingress":
            return f"in-{self.peer[-1]}"
        return "out-nothing-else" if not self.accept else f"out-{self.port or 'cloud'}"


def node_rules(zones: tuple[str, ...]) -> tuple[Rule, ...]:
    """The load balancer in: it speaks to nodes from addresses of its own vSwitches.

    Out: the cloud's own services, and HTTPS for the registry of an image and for the webhooks of clients.
    """
    return (
        *(Rule("ingress", SERVER_PORT, zone) for zone in zones),
        Rule("egress", None, CLOUD),
        Rule("egress", HTTPS, ANYWHERE),
        Rule("egress", None, ANYWHERE, accept=False),
    )
