"""Ports: the internet reaches 80 and 443, and nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from rules.rule import UNKNOWN, Resource, ResourceRule

OPEN_PORTS = (80, 443)
# A range shorter than this is no client's: 0.0.0.0/1 and 128.0.0.0/1 are the internet as well.
_SHORTEST = {4: 8, 6: 16}
_ANY_PROTOCOL = ("-1", "all", -1)


def open_port(resource: Resource, _stack: str) -> Iterator[str]:
    """A way in for (nearly) all addresses at any port but 80 and 443."""
    for source, ports in _ways_in(resource):
        if source is UNKNOWN or not isinstance(source, str) or not _is_internet(source):
            continue
        if ports is None:
            yield f"every port is open to {source}; only 80 and 443 may be"
        elif not (ports[0] == ports[1] and ports[0] in OPEN_PORTS):
            shown = f"port {ports[0]}" if ports[0] == ports[1] else f"ports {ports[0]} to {ports[1]}"
            yield f"{shown} is open to {source}; only 80 and 443 may be"


def _ways_in(resource: Resource) -> Iterator[tuple[Any, tuple[int, int] | None]]:
    """(address range, first and last port; None for every port) of each range that is let in."""
    kind = resource.type
    if kind == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
        ports = _ports(resource.get("ipProtocol"), resource.get("fromPort"), resource.get("toPort"))
        for name in ("cidrIpv4", "cidrIpv6"):
            yield resource.get(name), ports
    elif kind == "aws:ec2/securityGroupRule:SecurityGroupRule" and resource.get("type") != "egress":
        yield from _of_rule(resource.properties)
    elif kind in ("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"):
        for rule in resource.items("ingress"):
            yield from _of_rule(rule)
    elif kind == "alicloud:ecs/securityGroupRule:SecurityGroupRule" and _lets_in(resource):
        ports = _slashed(resource.get("ipProtocol"), resource.get("portRange"))
        for name in ("cidrIp", "ipv6CidrIp"):
            yield resource.get(name), ports


def _lets_in(rule: Resource) -> bool:
    return rule.get("type") != "egress" and rule.get("policy") != "drop"


def _of_rule(rule: Any) -> Iterator[tuple[Any, tuple[int, int] | None]]:
    ports = _ports(rule.get("protocol"), rule.get("fromPort"), rule.get("toPort"))
    for name in ("cidrBlocks", "ipv6CidrBlocks"):
        for source in rule.get(name) or ():
            yield source, ports


def _ports(protocol: Any, first: Any, last: Any) -> tuple[int, int] | None:
    if protocol in _ANY_PROTOCOL or not all(isinstance(port, (int, float)) for port in (first, last)):
        return None
    return int(first), int(last)


def _slashed(protocol: Any, ports: Any) -> tuple[int, int] | None:
    """Alibaba Cloud writes `443/443`, and `-1/-1` for every port."""
    if protocol in _ANY_PROTOCOL or not isinstance(ports, str):
        return None
    first, _, last = ports.partition("/")
    try:
        found = int(first), int(last)
    except ValueError:
        return None
    return None if found[0] < 0 else found


def _is_internet(text: str) -> bool:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return True  # what cannot be read cannot be trusted
    return network.prefixlen < _SHORTEST[network.version]


OPEN_PORT = ResourceRule("open-port", "The internet reaches no port but 80 and 443.", open_port)
