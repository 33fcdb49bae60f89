"""What a stack on AWS is billed by the hour."""

from __future__ import annotations

from components.prices.speeds import Engine
from components.prices.stack import ALWAYS, Bill
from components.settings import AwsSettings
from components.settings.aws_instance_types import FAMILIES


def bill(settings: AwsSettings) -> Bill:
    """Of the first instance type: the group tries it first, and a spot node may be any of them.

    Zones that are still open count as two, the least that a load balancer takes.
    """
    kind = settings.instance_types[0]
    own_network = settings.network.vpc_id is None
    engine = settings.engine
    return Bill(
        currency="USD",
        region=settings.region,
        instance_type=kind,
        gpu=FAMILIES[kind.partition(".")[0]].gpu,
        engine=Engine(engine.name, str(getattr(engine, "version", "")), str(getattr(engine, "precision", ""))),
        least=settings.nodes.min,
        most=settings.nodes.max,
        on_demand_base=settings.nodes.on_demand_base,
        spot=settings.nodes.spot,
        hours_a_week=settings.schedule.hours_a_week if settings.schedule else ALWAYS,
        nat_gateways=max(len(settings.zones), 2) if own_network and settings.network.private else 0,
    )
