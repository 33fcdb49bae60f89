"""What a stack on AWS is billed by the hour."""

from __future__ import annotations

from components.prices.speeds import Engine
from components.prices.stack import ALWAYS, Bill
from components.settings import AwsSettings, aws_instance_types
from components.settings.gpus import precision_used


def bill(settings: AwsSettings) -> Bill:
    """Of the first instance type: the group tries it first, and a spot node may be any of them.

    Zones that are still open count as two, the least that a load balancer takes.
    """
    kind = settings.instance_types[0]
    own_network = settings.network.vpc_id is None
    gpu = aws_instance_types.gpu(kind)
    engine = settings.engine
    return Bill(
        currency="USD",
        region=settings.region,
        instance_type=kind,
        gpu=gpu,
        engine=Engine(engine.name, engine.version or "", precision_used(engine, gpu) or ""),
        least=settings.nodes.min,
        most=settings.nodes.max,
        on_demand_base=settings.nodes.on_demand_base,
        spot=settings.nodes.spot,
        hours_a_week=settings.schedule.hours_a_week if settings.schedule else ALWAYS,
        nat_gateways=max(len(settings.zones), 2) if own_network and settings.network.private else 0,
    )
