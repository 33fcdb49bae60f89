"""Who reaches whom in the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from components.contracts import SERVER_PORT
from components.settings.aws_access import AccessSettings

ANYWHERE = "0.0.0.0/0"
HTTP, HTTPS = 80, 443


@dataclass(frozen=True)
class Rule:
    """TCP from (`in`) or to (`out`) `peer`, an address range or the other of the two groups, at `port`."""

    direction: Literal["in", "out"]
    port: int
    peer: str

    @property
    def label(self) -> str:
        """A name of its own in its group."""
        return f"{self.direction}-{self.port}-{self.peer}"


def load_balancer_rules(access: AccessSettings) -> tuple[Rule, ...]:
    """Clients in, at 443 and at 80 for the redirect, or at 80 alone without a domain; nodes out and nobody else."""
    ports = (HTTPS, HTTP) if access.domain else (HTTP,)
    clients = access.allowed_cidrs or (ANYWHERE,)
    return (
        *(Rule("in", port, client) for client in clients for port in ports),
        Rule("out", SERVER_PORT, "nodes"),
    )


def node_rules() -> tuple[Rule, ...]:
    """The load balancer in. Out, HTTPS: the cloud's own services, the image's registry, webhooks of clients.

    The resolver, the clock and the metadata service of a VPC are not subject to security groups:
    https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html
    """
    return (Rule("in", SERVER_PORT, "load-balancer"), Rule("out", HTTPS, ANYWHERE))
