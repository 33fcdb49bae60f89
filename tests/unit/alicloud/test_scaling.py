"""How many nodes: the group's rules, and what calls them."""

import pytest

from components.alicloud.scaling import LITTLE_DEMAND, MUCH_DEMAND, TARGET_DEMAND, TRIGGERS, idle_windows, rules
from components.alicloud.timing import USUAL_COLD_START_SECONDS, WARM_HOOK_SECONDS
from tests.unit.alicloud.every_part import every_part

RULES = {rule.name: rule for rule in rules(2, WARM_HOOK_SECONDS)}


class TestRules:
    def test_the_first_node_is_one_more_and_idle_ones_go_to_the_least(self):
        assert (RULES["wake"].kind, RULES["wake"].value) == ("QuantityChangeInCapacity", 1)
        assert (RULES["release"].kind, RULES["release"].value) == ("TotalCapacity", 2)

    def test_an_alarm_that_goes_on_adds_no_other_while_a_node_boots(self):
        assert RULES["wake"].cooldown >= WARM_HOOK_SECONDS
        assert RULES["grow"].cooldown >= USUAL_COLD_START_SECONDS

    def test_much_demand_asks_for_one_at_least(self):
        assert (RULES["double"].kind, RULES["double"].value, RULES["double"].least) == (
            "PercentChangeInCapacity",
            100,
            1,
        )

    def test_one_fewer_is_not_too_few_at_once(self):
        # Two nodes below the lower limit have less to do than the upper asks for when one is left.
        assert 2 * LITTLE_DEMAND < TARGET_DEMAND < MUCH_DEMAND

    def test_every_trigger_calls_a_rule_that_there_is(self):
        assert {trigger.rule for trigger in TRIGGERS} <= set(RULES)

    @pytest.mark.parametrize(("minutes", "windows"), [(5, 5), (30, 10), (31, 11), (1440, 292)])
    def test_idleness_begins_after_the_longest_boot(self, minutes, windows):
        assert idle_windows(minutes) == windows
        assert windows * 5 >= minutes + WARM_HOOK_SECONDS / 60


class TestAlarms:
    def alarm(self, name, **values):
        return every_part(**values)[0].named(f"speech-{name}", "ess/alarm:Alarm").values

    def test_demand_is_the_nodes_own_figure(self):
        recorder, outputs = every_part()
        for name in ("grow", "double", "shrink"):
            made = self.alarm(name)
            assert (made["metricType"], made["metricName"], made["statistics"]) == ("custom", "Demand", "Average")
            assert made["dimensions"] == {"fleet": outputs["fleet"]}
            assert str(int(made["cloudMonitorGroupId"])).isdigit()
            rule = recorder.named(f"speech-{name}", ":ScalingRule")
            assert made["alarmActions"] and rule.values["scalingGroupId"] == made["scalingGroupId"]

    def test_nodes_are_added_sooner_than_they_are_taken_away(self):
        assert self.alarm("grow")["evaluationCount"] < self.alarm("shrink")["evaluationCount"]

    def test_idle_gpus_are_the_agents_figure_and_the_busiest_counts(self):
        made = self.alarm("idle-gpus", alarms={"idleMinutes": 45})
        assert (made["metricType"], made["metricName"], made["statistics"]) == (
            "system",
            "GpuUtilizationAgent",
            "Maximum",
        )
        assert made["period"] * made["evaluationCount"] == (45 + WARM_HOOK_SECONDS / 60) * 60

    @pytest.mark.parametrize("period", [60, 300])
    def test_periods_are_those_that_there_are(self, period):
        periods = {one.values["period"] for one in every_part()[0].all_of_type("ess/alarm:Alarm")}
        assert period in periods <= {60, 120, 300, 900}

    def test_release_goes_to_the_least_of_the_settings(self):
        nodes = {"min": 1, "max": 5, "onDemandBase": 0, "spot": True}
        made = every_part(nodes=nodes)[0].named("speech-release", ":ScalingRule").values
        assert (made["adjustmentType"], made["adjustmentValue"]) == ("TotalCapacity", 1)
