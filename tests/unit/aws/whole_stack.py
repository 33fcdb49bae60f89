"""Every part of an AWS stack, registered without an engine in the order of the service."""

from __future__ import annotations

import functools
import json
from typing import Any

import pulumi

from components import contracts
from components.aws import PARTS
from tests.recorder import Recorder
from tests.unit.aws.one_part import aws_settings, register

IMAGE = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/speech@sha256:{'b' * 64}"


def whole_stack(**values: Any) -> tuple[Recorder, dict[str, Any]]:
    """What the parts register with these settings, and some of their outputs. A ready image, unless one is given."""
    return _whole_stack(json.dumps({"image": IMAGE, **values}))


@functools.cache
def _whole_stack(values: str) -> tuple[Recorder, dict[str, Any]]:
    settings = aws_settings(**json.loads(values))

    def make() -> dict[str, Any]:
        under, name = pulumi.ResourceOptions(), "speech"
        network = PARTS.network(name, contracts.NetworkArgs(settings), under) if PARTS.network else None
        store = PARTS.store(name, contracts.ObjectStoreArgs(settings), under)
        queue = PARTS.queue(name, contracts.JobQueueArgs(settings), under)
        keys = PARTS.keys(name, contracts.ApiKeysArgs(settings), under)
        image = PARTS.image(name, contracts.ServerImageArgs(settings), under)
        fleet = PARTS.fleet(name, contracts.GpuFleetArgs(settings, network, store, queue, keys, image), under)
        balancer = PARTS.load_balancer(name, contracts.LoadBalancerArgs(settings, network, fleet), under)
        assert PARTS.monitoring
        monitoring = PARTS.monitoring(name, contracts.MonitoringArgs(settings, queue, fleet, balancer), under)
        return {
            "url": balancer.url,
            "health_url": balancer.health_url,
            "fleet": fleet.label,
            "dashboard_url": monitoring.dashboard_url,
            "keys_arn": getattr(keys, "arn"),  # noqa: B009 - on the AWS class only
            "keys_reference": keys.reference,
        }

    return register(make)
