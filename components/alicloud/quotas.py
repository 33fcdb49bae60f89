"""Whether the account may run as many GPU nodes on demand as the stack wants. New accounts may run few."""

from __future__ import annotations

from collections.abc import Mapping

from components.alicloud.account import Quota
from components.settings import AlicloudSettings
from components.settings.alicloud_instance_types import vcpus


def on_demand_nodes(settings: AlicloudSettings) -> int:
    """How many nodes are surely on demand. Spot nodes may be too, while there are none to be had."""
    return settings.nodes.on_demand_base if settings.nodes.spot else settings.nodes.max


def quota_problem(settings: AlicloudSettings, known: Mapping[tuple[str, str], Quota]) -> str | None:
    """Why the account may not run the nodes. `known` maps a type and a zone to its quota, all of them."""
    wanted = on_demand_nodes(settings)
    allowed = sum(_nodes(name, quota) for (name, _zone), quota in known.items())
    if allowed >= wanted:
        return None
    shown = ", ".join(f"{quota.total:g} {quota.unit} of {name} in {zone}" for (name, zone), quota in known.items())
    key = "nodes.onDemandBase" if settings.nodes.spot else "nodes.max"
    return (
        f"indextts2:{key}: {wanted}: the account may run {allowed} nodes on demand ({shown}); lower {key}, or ask for "
        "more in Quota Center, ECS quotas by instance type"
    )


def _nodes(name: str, quota: Quota) -> int:
    """Quotas are of vCPUs, or, where their unit says so, of instances."""
    return int(quota.total // vcpus(name)) if "cpu" in quota.unit.lower() else int(quota.total)
