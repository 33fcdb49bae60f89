"""What a stack is made of, as far as it costs by the hour, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from components.prices.figures import LOAD_BALANCER, NAT_GATEWAY, ON_DEMAND, SPOT, Figure, Figures
from components.prices.speeds import Engine, real_time_factor

HOURS_A_MONTH = 365 * 24 / 12
WEEKS_A_MONTH = 365 / 7 / 12
# Hours of a week.
ALWAYS = 168.0


@dataclass(frozen=True)
class Bill:
    """What is paid by the hour. `instance_type` is the first choice of the settings, `gpu` what is in it.

    `least` and `most`: how many nodes there may be while nodes are wanted at all, `hours_a_week` of 168.
    """

    currency: str
    region: str
    instance_type: str
    gpu: str
    engine: Engine
    least: int
    most: int
    on_demand_base: int
    spot: bool
    hours_a_week: float = ALWAYS
    load_balancers: int = 1
    nat_gateways: int = 0


@dataclass(frozen=True)
class Price:
    """In `currency`. None: not known, because a figure is missing. `unknown` names what is missing.

    The fixed part (load balancer, NAT gateways) is there day and night, nodes only while they are wanted.
    """

    currency: str
    region: str
    instance_type: str
    node_on_demand: float | None
    node_spot: float | None
    fixed_hour: float | None
    hour_least: float | None
    hour_most: float | None
    month_least: float | None
    month_most: float | None
    audio_on_demand: float | None
    """For an hour of finished audio by one busy node, without the fixed part."""
    audio_spot: float | None
    unknown: tuple[str, ...] = ()
    sources: tuple[tuple[str, str, str], ...] = field(default=())
    """(what, source, date) of every figure that was used."""


def price(bill: Bill, figures: Figures) -> Price:
    """The stack's price by these figures. Traffic, storage, requests and taxes are not in it."""
    keys = {
        ON_DEMAND: (ON_DEMAND, bill.region, bill.instance_type),
        SPOT: (SPOT, bill.region, bill.instance_type),
        LOAD_BALANCER: (LOAD_BALANCER, bill.region, ""),
        NAT_GATEWAY: (NAT_GATEWAY, bill.region, ""),
    }
    known = {name: figures[key] for name, key in keys.items() if key in figures}
    wanted = [ON_DEMAND, SPOT]
    fixed: float | None = 0.0
    for name, count in ((LOAD_BALANCER, bill.load_balancers), (NAT_GATEWAY, bill.nat_gateways)):
        if count:
            wanted.append(name)
            fixed = _sum(fixed, _times(_value(known, name), count))
    on_demand, spot = _value(known, ON_DEMAND), _value(known, SPOT)
    least, most = _nodes(bill, bill.least, on_demand, spot), _nodes(bill, bill.most, on_demand, spot)
    factor = real_time_factor(bill.gpu, bill.engine)
    speed = factor.value if factor else None
    node_hours = bill.hours_a_week * WEEKS_A_MONTH
    month_fixed = _times(fixed, HOURS_A_MONTH)
    sources = {(name, known[name].source, known[name].date): None for name in wanted if name in known}
    if factor:
        sources[f"speed on {bill.gpu}", factor.source, factor.date] = None
    return Price(
        bill.currency,
        bill.region,
        bill.instance_type,
        on_demand,
        spot,
        fixed,
        _sum(least, fixed),
        _sum(most, fixed),
        _sum(_times(least, node_hours), month_fixed),
        _sum(_times(most, node_hours), month_fixed),
        _times(on_demand, speed),
        _times(spot, speed),
        tuple(_unknown(bill, wanted, known, factor)),
        tuple(sources),
    )


def _nodes(bill: Bill, count: int, on_demand: float | None, spot: float | None) -> float | None:
    """An hour of `count` nodes: the first on demand, the others spot if the stack takes spot."""
    base = min(count, bill.on_demand_base) if bill.spot else count
    total: float | None = 0.0
    if base:
        total = _sum(total, _times(on_demand, base))
    if count > base:
        total = _sum(total, _times(spot, count - base))
    return total


def _unknown(bill: Bill, wanted: list[str], known: dict[str, Figure], factor: Figure | None) -> Iterator[str]:
    for name in wanted:
        if name not in known:
            which = f" of {bill.instance_type}" if name in (ON_DEMAND, SPOT) else ""
            yield f"{name}{which} in {bill.region}"
    if factor is None:
        engine = " ".join(part for part in (bill.engine.name, bill.engine.version, bill.engine.precision) if part)
        yield f"speed of {engine} on {bill.gpu}"


def _value(known: dict[str, Figure], name: str) -> float | None:
    return known[name].value if name in known else None


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _times(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one * other
