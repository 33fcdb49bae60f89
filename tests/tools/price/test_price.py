from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.prices.figures import LOAD_BALANCER, NAT_GATEWAY, ON_DEMAND, SPOT
from speech_server.cli.price import find_checkout
from tools.checkout import Checkout
from tools.failure import SetupError
from tools.price import aws
from tools.price.__main__ import main
from tools.price.subject import subjects

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)


def product(*prices: tuple[str, str]) -> str:
    dimensions = {str(at): {"unit": unit, "pricePerUnit": {"USD": usd}} for at, (unit, usd) in enumerate(prices)}
    return json.dumps({"product": {}, "terms": {"OnDemand": {"a": {"priceDimensions": dimensions}}}})


class Prices:
    """boto3's clients of the price list and of EC2, as far as they are asked."""

    def __init__(self, **listed: list[str]) -> None:
        self.listed = listed
        self.asked: list[dict[str, str]] = []
        self.spot = [{"SpotPrice": "0.21"}, {"SpotPrice": "0.25"}]

    def get_products(self, **arguments: Any) -> dict[str, Any]:
        asked = {one["Field"]: one["Value"] for one in arguments["Filters"]}
        self.asked.append(asked)
        name = "instance" if "instanceType" in asked else asked["productFamily"].split()[0].lower()
        if name not in self.listed:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetProducts")
        return {"PriceList": self.listed[name]}

    def describe_spot_price_history(self, **arguments: Any) -> dict[str, Any]:
        assert arguments["ProductDescriptions"] == ["Linux/UNIX"]
        return {"SpotPriceHistory": self.spot}


class TestAsk:
    def test_each_figure_with_its_source_and_day(self) -> None:
        clients = Prices(
            instance=[product(("Hrs", "0.526"), ("Hrs", "0.0000000000"))],
            load=[product(("Hrs", "0.0225"), ("LCU-Hrs", "0.008"))],
            nat=[product(("Hrs", "0.045")), product(("GB", "0.045"))],
        )
        found, refused = aws.ask(clients, clients, "us-west-2", ["g4dn.xlarge"], NOW)
        assert refused == []
        assert {key: figure.value for key, figure in found.items()} == {
            (ON_DEMAND, "us-west-2", "g4dn.xlarge"): 0.526,
            (SPOT, "us-west-2", "g4dn.xlarge"): 0.25,
            (LOAD_BALANCER, "us-west-2", ""): 0.0225,
            (NAT_GATEWAY, "us-west-2", ""): 0.045,
        }
        assert {figure.date for figure in found.values()} == {"2026-11-22"}
        assert {asked["regionCode"] for asked in clients.asked} == {"us-west-2"}

    def test_two_prices_are_no_price_and_a_refusal_is_told(self) -> None:
        clients = Prices(instance=[product(("Hrs", "0.5")), product(("Hrs", "0.6"))], load=[])
        clients.spot = []
        found, refused = aws.ask(clients, clients, "us-west-2", ["g4dn.xlarge"], NOW)
        assert found == {}
        assert len(refused) == 1
        assert "AccessDenied" in refused[0]


class TestSubjects:
    def test_the_checkouts_own_stacks(self) -> None:
        found = {one.name: one.bill for one in subjects(Checkout(ROOT), ["local", "dev", "prod", "prod-cn"], [], [])}
        assert found["local"] is None
        dev, prod = found["dev"], found["prod"]
        assert dev
        assert prod
        assert (dev.instance_type, dev.gpu, dev.hours_a_week, dev.nat_gateways) == ("g4dn.xlarge", "T4", 50, 0)
        china = found["prod-cn"]
        assert china
        assert (china.currency, china.region, china.gpu, china.nat_gateways) == ("CNY", "cn-hangzhou", "T4", 1)
        assert (prod.instance_type, prod.most, prod.on_demand_base, prod.nat_gateways) == ("g5.xlarge", 4, 1, 2)

    def test_another_region_and_type(self) -> None:
        found = subjects(Checkout(ROOT), ["dev"], ["us-west-2", "eu-west-1"], ["g5.xlarge"])
        assert [one.name for one in found] == ["dev us-west-2 g5.xlarge", "dev eu-west-1 g5.xlarge"]
        assert [one.bill.region for one in found if one.bill] == ["us-west-2", "eu-west-1"]

    @pytest.mark.parametrize(
        ("stack", "region", "kind", "problem"),
        [
            ("nosuch", "", "", "there is no stack nosuch"),
            ("../../etc", "", "", "cannot be the name of a stack"),
            ("dev", "mars-1", "", "is no region"),
            ("dev", "", "p3.2xlarge", "V100"),
        ],
    )
    def test_what_cannot_be_priced_says_why(self, stack: str, region: str, kind: str, problem: str) -> None:
        with pytest.raises(SetupError, match=problem):
            subjects(Checkout(ROOT), [stack], [region] if region else [], [kind] if kind else [])


class TestCommand:
    def test_side_by_side(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["dev", "prod", "local", "--table-only"])
        printed = capsys.readouterr().out
        assert "local: runs on this machine" in printed
        assert "a month with the schedule, fewest nodes  65.94 USD" in printed
        assert "source of on-demand node hour: https://" in printed

    def test_indextts2_price_finds_the_checkout(self, tmp_path: Path) -> None:
        assert find_checkout(ROOT / "docs") == ROOT
        assert find_checkout(tmp_path) is None
        command = [str(Path(sys.executable).parent / "indextts2"), "price", "dev", "--table-only"]
        done = subprocess.run(command, cwd=ROOT / "docs", capture_output=True, text=True, check=False)
        assert "an hour, fewest nodes" in done.stdout, done.stderr
        lost = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert lost.returncode == 1
        assert "not in a checkout" in lost.stderr
