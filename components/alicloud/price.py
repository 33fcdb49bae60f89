"""What a stack on Alibaba Cloud is billed by the hour."""

from __future__ import annotations

from components.prices.speeds import Engine
from components.prices.stack import ALWAYS, Bill
from components.settings import AlicloudSettings, alicloud_instance_types
from components.settings.gpus import precision_used


def bill(settings: AlicloudSettings) -> Bill:
    """Of the first instance type: the group tries it first, and a spot node may be any of them."""
    kind = settings.instance_types[0]
    gpu = alicloud_instance_types.gpu(kind)
    engine = settings.engine
    return Bill(
        currency="CNY",
        region=settings.region,
        instance_type=kind,
        gpu=gpu,
        engine=Engine(engine.name, engine.version or "", precision_used(engine, gpu) or ""),
        least=settings.nodes.min,
        most=settings.nodes.max,
        on_demand_base=settings.nodes.on_demand_base,
        spot=settings.nodes.spot,
        hours_a_week=settings.schedule.hours_a_week if settings.schedule else ALWAYS,
        nat_gateways=1 if settings.network.vpc_id is None and settings.network.private else 0,
    )
