"""Every part of an Alibaba Cloud stack, registered without an engine in the order of the service."""

from __future__ import annotations

import functools
import json
from typing import Any

import pulumi

from components import contracts
from components.alicloud import PARTS
from tests.recorder import Recorder
from tests.unit.alicloud.one_part import alicloud_settings, register


def every_part(**values: Any) -> tuple[Recorder, dict[str, Any]]:
    """What the parts register with these settings, and some of their outputs."""
    return _every_part(json.dumps(values))


@functools.cache
def _every_part(values: str) -> tuple[Recorder, dict[str, Any]]:
    settings = alicloud_settings(**json.loads(values))

    def make() -> dict[str, Any]:
        under, name = pulumi.ResourceOptions(), "speech"
        assert PARTS.network and PARTS.monitoring
        network = PARTS.network(name, contracts.NetworkArgs(settings), under)
        store = PARTS.store(name, contracts.ObjectStoreArgs(settings), under)
        queue = PARTS.queue(name, contracts.JobQueueArgs(settings), under)
        keys = PARTS.keys(name, contracts.ApiKeysArgs(settings), under)
        image = PARTS.image(name, contracts.ServerImageArgs(settings), under)
        fleet = PARTS.fleet(name, contracts.GpuFleetArgs(settings, network, store, queue, keys, image), under)
        balancer = PARTS.load_balancer(name, contracts.LoadBalancerArgs(settings, network, fleet), under)
        monitoring = PARTS.monitoring(name, contracts.MonitoringArgs(settings, queue, fleet, balancer), under)
        return {
            "url": balancer.url,
            "health_url": balancer.health_url,
            "fleet": fleet.label,
            "bucket": store.bucket,
            "queue": queue.url,
            "dashboard_url": monitoring.dashboard_url,
            "keys_reference": keys.reference,
        }

    return register(make)
