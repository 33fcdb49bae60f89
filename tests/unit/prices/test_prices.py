"""The arithmetic against examples that were worked by hand, and the figures' sources."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from components.prices.catalogue import PUBLISHED
from components.prices.figures import LOAD_BALANCER, NAT_GATEWAY, ON_DEMAND, SPOT, Figure
from components.prices.rendering import amount, comparison, output, table
from components.prices.speeds import REAL_TIME_FACTORS, Engine
from components.prices.stack import Bill, price
from components.settings.schedule import ScheduleSettings


def usd(value: float) -> Figure:
    return Figure(value, "USD", "https://example.com/prices", "2026-01-02")


FIGURES = {
    (ON_DEMAND, "us-west-2", "g4dn.xlarge"): usd(0.5),
    (SPOT, "us-west-2", "g4dn.xlarge"): usd(0.2),
    (ON_DEMAND, "us-west-2", "g5.xlarge"): usd(1.0),
    (SPOT, "us-west-2", "g5.xlarge"): usd(0.4),
    (LOAD_BALANCER, "us-west-2", ""): usd(0.02),
    (NAT_GATEWAY, "us-west-2", ""): usd(0.05),
    (ON_DEMAND, "cn-hangzhou", "ecs.gn6i-c4g1.xlarge"): replace(usd(10.0), currency="CNY"),
}
DEV = Bill("USD", "us-west-2", "g4dn.xlarge", "T4", Engine("espeak"), 1, 1, 0, True, hours_a_week=50)
PROD = Bill("USD", "us-west-2", "g5.xlarge", "A10G", Engine("indextts2", "2.5", "bf16"), 1, 4, 1, True, nat_gateways=2)
PROD_CN = Bill("CNY", "cn-hangzhou", "ecs.gn6i-c4g1.xlarge", "T4", Engine("indextts2", "2", "fp16"), 1, 2, 1, False)


class TestPrice:
    def test_dev_by_hand(self) -> None:
        found = price(DEV, FIGURES)
        # one spot node, and the load balancer
        assert found.hour_least == pytest.approx(0.22)
        # 50 h x 365/7/12 weeks = 217.26 h of the node, 730 h of the load balancer: 43.45 + 14.60
        assert found.month_least == pytest.approx(58.05, abs=0.005)
        assert found.month_most == found.month_least
        assert found.audio_spot is None
        assert found.unknown == ("speed of espeak on T4",)

    def test_prod_by_hand(self) -> None:
        found = price(PROD, FIGURES)
        # 0.02 for the load balancer, 2 x 0.05 for NAT
        assert found.fixed_hour == pytest.approx(0.12)
        # the first node on demand; with four, three more by spot: 1.0 + 3 x 0.4
        assert found.hour_least == pytest.approx(1.12)
        assert found.hour_most == pytest.approx(2.32)
        # 730 hours
        assert found.month_least == pytest.approx(817.60)
        assert found.month_most == pytest.approx(1693.60)
        # an hour of audio takes 0.68 hours of a node: 0.68 x 1.0, 0.68 x 0.4
        assert found.audio_on_demand == pytest.approx(0.68)
        assert found.audio_spot == pytest.approx(0.272)
        assert found.unknown == ()

    def test_prod_cn_by_hand_and_what_is_not_known_is_not_guessed(self) -> None:
        found = price(PROD_CN, FIGURES)
        assert found.node_on_demand == 10.0
        assert (found.hour_least, found.month_least, found.node_spot) == (None, None, None)
        assert found.unknown == (
            "spot node hour of ecs.gn6i-c4g1.xlarge in cn-hangzhou",
            "load balancer hour in cn-hangzhou",
            "speed of indextts2 2 fp16 on T4",
        )
        complete = price(PROD_CN, {**FIGURES, (LOAD_BALANCER, "cn-hangzhou", ""): replace(usd(0.5), currency="CNY")})
        # no spot: every node on demand; 1 x 10 + 0.5, 2 x 10 + 0.5
        assert (complete.hour_least, complete.hour_most) == (10.5, 20.5)
        assert complete.month_most == pytest.approx(14965.0)

    def test_a_stack_that_starts_from_nothing_costs_its_load_balancer(self) -> None:
        found = price(replace(DEV, least=0), FIGURES)
        assert found.hour_least == pytest.approx(0.02)

    def test_every_figure_that_was_used_has_its_source(self) -> None:
        assert {what for what, _, _ in price(PROD, FIGURES).sources} == {
            ON_DEMAND, SPOT, LOAD_BALANCER, NAT_GATEWAY, "speed on A10G",
        }  # fmt: skip


class TestHoursAWeek:
    @pytest.mark.parametrize(
        ("up", "down", "days", "hours"),
        [
            ("09:00", "19:00", "MON-FRI", 50),
            ("22:00", "06:30", "MON,WED", 17),
            ("00:00", "23:59", "MON-SUN", 167.883),
        ],
    )
    def test_each_schedule(self, up: str, down: str, days: str, hours: float) -> None:
        schedule = ScheduleSettings(timeZone="UTC", up=up, down=down, days=days)
        assert schedule.hours_a_week == pytest.approx(hours, abs=0.001)


class TestPublished:
    def test_every_figure_has_a_public_source_a_date_and_a_sane_value(self) -> None:
        figures = [*PUBLISHED.values(), *REAL_TIME_FACTORS.values()]
        assert len(figures) > 50
        for figure in figures:
            assert figure.source.startswith("https://")
            assert re.match(r"20\d\d-\d\d", figure.date)
            assert 0 < figure.value < 100

    def test_spot_is_cheaper_than_on_demand(self) -> None:
        for (what, region, kind), figure in PUBLISHED.items():
            if what == SPOT:
                assert figure.value < PUBLISHED[ON_DEMAND, region, kind].value, (region, kind)


class TestRendering:
    def test_amounts(self) -> None:
        assert [amount(value, "USD") for value in (None, 0.0, 0.52634, 12.345)] == [
            "unknown", "0.00 USD", "0.5263 USD", "12.35 USD",
        ]  # fmt: skip

    def test_the_output_says_what_is_unknown_and_where_figures_are_from(self) -> None:
        found = output(price(DEV, FIGURES))
        assert found["of"] == "g4dn.xlarge in us-west-2"
        assert found["hour"] == "0.2200 USD"
        assert found["audioHour"] == "unknown"
        assert found["unknown"] == ["speed of espeak on T4"]
        assert "spot node hour: https://example.com/prices (2026-01-02)" in found["sources"]

    def test_the_table_puts_stacks_side_by_side(self) -> None:
        lines = table({"dev": price(DEV, FIGURES), "prod": price(PROD, FIGURES)}).splitlines()
        assert lines[0].split() == ["dev", "prod"]
        assert lines[2].split()[-4:] == ["0.2200", "USD", "1.1200", "USD"]
        assert "dev: unknown: speed of espeak on T4" in lines

    def test_a_comparison_marks_what_changes(self) -> None:
        text = comparison(output(price(DEV, FIGURES)), output(price(replace(DEV, most=2), FIGURES)))
        assert "| an hour, fewest nodes | 0.2200 USD | 0.2200 USD |" in text
        assert "| an hour, most nodes | 0.2200 USD | **0.4200 USD** |" in text

    def test_a_comparison_trusts_nothing(self) -> None:
        hostile = {"of": "<script>|@a`[x](y)", "hour": ["a"], "unknown": "no list", "sources": [7, "<b>"]}
        text = comparison("no price", hostile)
        assert "<script" not in text
        assert "@a" not in text
        assert comparison(None, 7) == ""
