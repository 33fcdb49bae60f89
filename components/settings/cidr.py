"""IPv4 address ranges as settings."""

from __future__ import annotations

import ipaddress
from itertools import combinations

# RFC 1918 and RFC 6598: what a VPC can have without hiding a part of the internet from its nodes.
_PRIVATE = [ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
# Docker's bridge on every node: https://docs.docker.com/engine/network/drivers/bridge/
_DOCKER = ipaddress.IPv4Network("172.17.0.0/16")
# A VPC is a /16 at the most. Of a /22, every subnet (see components/aws/subnets.py) still has 59 usable addresses, and
# a load balancer needs a /27 with 8 free ones: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/
LARGEST, SMALLEST = 16, 22
# Half the internet in two lines would be everyone by another name.
WIDEST_WITHOUT_TLS = 8


def network(text: str) -> ipaddress.IPv4Network:
    """Raises ValueError that says what is wrong with the range and what would do."""
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        if "has host bits set" in str(error):
            raise ValueError(f"has host bits set; use {ipaddress.IPv4Network(text, strict=False)}") from None
        raise ValueError("is no IPv4 address range; write it like 10.20.0.0/16") from None


def vpc_range(text: str) -> str:
    """`text` if a VPC can have it. Raises ValueError."""
    found = network(text)
    if not any(found.subnet_of(private) for private in _PRIVATE):
        raise ValueError("is not a private range; use one in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    if found.overlaps(_DOCKER):
        raise ValueError(f"overlaps {_DOCKER}, the bridge of Docker on every node; use another, say 10.20.0.0/16")
    if found.prefixlen < LARGEST:
        raise ValueError(f"is larger than a VPC can be; use a /{LARGEST} to /{SMALLEST}")
    if found.prefixlen > SMALLEST:
        raise ValueError(f"is too small for subnets in every zone; use a /{LARGEST} to /{SMALLEST}")
    return text


def client_ranges(texts: tuple[str, ...]) -> tuple[str, ...]:
    """`texts` if they are ranges and none contains another. Raises ValueError with every problem."""
    problems = [f"{text!r} {said}" for text in texts if (said := _problem(text))]
    found = [network(text) for text in texts if not _problem(text)]
    problems += [
        f"{one} and {other} overlap; keep the wider" for one, other in combinations(found, 2) if one.overlaps(other)
    ]
    if problems:
        raise ValueError("; ".join(problems))
    return texts


def _problem(text: str) -> str | None:
    try:
        network(text)
    except ValueError as error:
        return str(error)
    return None
