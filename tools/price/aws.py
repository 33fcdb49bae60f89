"""Prices by AWS's own interfaces: the price list, and what spot instances cost now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components.prices.figures import LOAD_BALANCER, NAT_GATEWAY, ON_DEMAND, SPOT, Figure, Key

_LIST = "AWS Price List API"
_SPOT = "EC2 DescribeSpotPriceHistory, the dearest zone"


def ask(
    pricing: Any, ec2: Any, region: str, instance_types: Iterable[str], now: datetime | None = None
) -> tuple[dict[Key, Figure], list[str]]:
    """What AWS answers for a region, and what it refused. `pricing` and `ec2` are boto3's clients."""
    moment = now or datetime.now(timezone.utc)
    found: dict[Key, Figure] = {}
    refused: list[str] = []
    questions = [
        (LOAD_BALANCER, "", "AWSELB", {"productFamily": "Load Balancer-Application", "group": "ELB:Balancing"}),
        (NAT_GATEWAY, "", "AmazonEC2", {"productFamily": "NAT Gateway", "group": "NGW:NatGateway"}),
    ]
    for kind in instance_types:
        wanted = {
            "instanceType": kind,
            "operatingSystem": "Linux",
            "preInstalledSw": "NA",
            "tenancy": "Shared",
            "capacitystatus": "Used",
        }
        questions.append((ON_DEMAND, kind, "AmazonEC2", wanted))
    for what, which, service, filters in questions:
        try:
            value = _listed(pricing, service, {**filters, "regionCode": region})
        except (ClientError, BotoCoreError) as error:
            refused.append(f"{what}: {error}")
            continue
        if value is not None:
            found[what, region, which] = Figure(value, "USD", _LIST, f"{moment:%Y-%m-%d}")
    for kind in instance_types:
        try:
            value = _spot(ec2, kind, moment)
        except (ClientError, BotoCoreError) as error:
            refused.append(f"{SPOT}: {error}")
            continue
        if value is not None:
            found[SPOT, region, kind] = Figure(value, "USD", _SPOT, f"{moment:%Y-%m-%d}")
    return found, refused


def _listed(pricing: Any, service: str, filters: dict[str, str]) -> float | None:
    """The one hourly price that the filters leave; None when they leave none or several: nothing is guessed."""
    answer = pricing.get_products(
        ServiceCode=service,
        Filters=[{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()],
    )
    prices = {price for text in answer["PriceList"] for price in hourly_prices(json.loads(text))}
    return prices.pop() if len(prices) == 1 else None


def hourly_prices(product: dict[str, Any]) -> set[float]:
    """Its on-demand prices an hour that are not zero, in USD:
    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html"""
    return {
        float(dimension["pricePerUnit"]["USD"])
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if dimension["unit"] in ("Hrs", "Hours", "hours") and float(dimension["pricePerUnit"].get("USD", 0)) > 0
    }


def _spot(ec2: Any, kind: str, moment: datetime) -> float | None:
    answer = ec2.describe_spot_price_history(InstanceTypes=[kind], ProductDescriptions=["Linux/UNIX"], StartTime=moment)
    prices = [float(row["SpotPrice"]) for row in answer["SpotPriceHistory"]]
    return max(prices) if prices else None
