"""Which addresses a server may be sent to by a client's URL: those of the public internet, and no others.

What is refused: every address that is not globally reachable (IANA's special-purpose registries, as Python's
`ipaddress` has them), the metadata services of clouds, and IPv6 addresses that carry a refused IPv4 address.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Metadata services. Most are link-local and refused as such; Alibaba Cloud's is in the carriers' shared range and AWS's
# for IPv6 in the private one: named here because they matter most.
# https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
_METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "100.100.100.200", "fd00:ec2::254")))
# Refused whatever a Python release thinks of them: shared space (RFC 6598), relays that reach IPv4 addresses by another
# name (6to4, Teredo), and what is set apart for documentation and tests.
_REFUSED = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"),
            *("2001::/23", "2002::/16", "3fff::/20"),
        ),
    )
)
# All that IANA has given out for the public internet so far; NAT64 and IPv4 inside IPv6 are outside of it.
# https://www.iana.org/assignments/ipv6-unicast-address-assignments
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")


def literal_address(host: str) -> Address | None:
    """The address that a URL's host is; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def why_refused(address: Address, loopback: bool) -> str | None:
    """What is wrong with the address as a target; None if nothing is. `loopback`: this machine is allowed."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "names an address of a local link"
        inner = address.ipv4_mapped
        if inner is not None:
            return why_refused(inner, loopback)
    if loopback and address.is_loopback:
        return None
    if address in _METADATA:
        return "names a metadata service"
    if address.is_multicast or address.is_unspecified or not address.is_global:
        return "names an address that is not of the public internet"
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_IPV6:
        return "names an address that is not of the public internet"
    if any(address in network for network in _REFUSED if network.version == address.version):
        return "names an address that is not of the public internet"
    return None
