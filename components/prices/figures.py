"""A published figure, which is never without its source and date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Key = tuple[str, str, str]
"""What is paid for (one of the names below), the region, and which of it: an instance type, else ""."""

ON_DEMAND = "on-demand node hour"
SPOT = "spot node hour"
LOAD_BALANCER = "load balancer hour"
NAT_GATEWAY = "NAT gateway hour"


@dataclass(frozen=True)
class Figure:
    """`value` in `currency` for one unit of what its key names. `date`: when the source said so."""

    value: float
    currency: str
    source: str
    date: str


Figures = Mapping[Key, Figure]
