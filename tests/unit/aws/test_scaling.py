"""How many nodes: the figure that the group follows, in CloudWatch and in plain numbers."""

import pytest

from components.aws.scaling import ASSUMED_CLIP_SECONDS, CLEAR_SECONDS, TARGET_DEMAND, demand, demand_queries
from components.aws.timing import USUAL_COLD_START_SECONDS
from tests.unit.aws.metric_math import figure
from tests.unit.aws.whole_stack import whole_stack

QUERIES = demand_queries("a-fleet", "a-queue")
NOTHING = dict.fromkeys(("busy", "work", "clip", "visible", "nodes"))


class TestFigure:
    @pytest.mark.parametrize(
        "reported",
        [
            {"busy": 0.4, "work": 0, "clip": 8, "visible": 0, "nodes": 3},
            {"busy": 1, "work": 90, "clip": 12.5, "visible": 200, "nodes": 4},
            {"busy": 0, "work": 0, "clip": 10, "visible": 7, "nodes": 0},
            {"busy": 0.1, "work": 30, "clip": 2, "visible": 1, "nodes": 1},
        ],
    )
    def test_cloudwatch_and_plain_numbers_agree(self, reported):
        assert figure(QUERIES, reported) == pytest.approx(demand(**reported))

    def test_nothing_reported_is_no_demand(self):
        assert figure(QUERIES, NOTHING) == 0

    def test_jobs_count_before_any_node_has_told_how_long_one_takes(self):
        assert figure(QUERIES, {**NOTHING, "visible": 10}) == 10 * ASSUMED_CLIP_SECONDS / CLEAR_SECONDS

    def test_the_length_of_clips_counts_and_not_their_number(self):
        many_short = figure(QUERIES, {"busy": 0, "work": 0, "clip": 1, "visible": 100, "nodes": 1})
        few_long = figure(QUERIES, {"busy": 0, "work": 0, "clip": 100, "visible": 1, "nodes": 1})
        assert many_short == pytest.approx(few_long)

    def test_more_nodes_share_the_queue(self):
        one = figure(QUERIES, {"busy": 0, "work": 0, "clip": 10, "visible": 60, "nodes": 1})
        four = figure(QUERIES, {"busy": 0, "work": 0, "clip": 10, "visible": 60, "nodes": 4})
        assert one == pytest.approx(4 * four)

    def test_a_fleet_that_is_just_busy_enough_is_left_as_it_is(self):
        assert figure(QUERIES, {"busy": TARGET_DEMAND, "work": 0, "clip": 10, "visible": 0, "nodes": 3}) == (
            pytest.approx(TARGET_DEMAND)
        )

    def test_work_is_cleared_no_faster_than_a_node_comes(self):
        assert CLEAR_SECONDS >= USUAL_COLD_START_SECONDS


class TestPolicies:
    def policy(self, end, **values):
        return whole_stack(**values)[0].named(f"speech-{end}", ":Policy").values

    def test_the_group_follows_the_figure(self):
        made = self.policy("demand")
        assert made["policyType"] == "TargetTrackingScaling"
        assert made["estimatedInstanceWarmup"] == USUAL_COLD_START_SECONDS
        tracked = made["targetTrackingConfiguration"]
        assert tracked["targetValue"] == TARGET_DEMAND
        metrics = tracked["customizedMetricSpecification"]["metrics"]
        assert [one["id"] for one in metrics] == [query.id for query in QUERIES]
        assert [one["id"] for one in metrics if one["returnData"]] == ["demand"]

    def test_it_looks_at_this_stacks_queue_group_and_nodes(self):
        recorder, outputs = whole_stack()
        metrics = self.policy("demand")["targetTrackingConfiguration"]["customizedMetricSpecification"]["metrics"]
        dimensions = {
            one["id"]: {part["name"]: part["value"] for part in one["metricStat"]["metric"]["dimensions"]}
            for one in metrics
            if "metricStat" in one
        }
        queue = recorder.named("speech-jobs", ":Queue").name
        assert dimensions["visible"]["QueueName"].startswith(queue)
        assert dimensions["nodes"] == {"AutoScalingGroupName": outputs["fleet"]}
        assert dimensions["busy"] == dimensions["work"] == dimensions["clip"] == {"Fleet": outputs["fleet"]}

    def test_the_first_node_is_one_more_and_idle_ones_go_to_the_least(self):
        nodes = {"min": 1, "max": 5, "onDemandBase": 0, "spot": True}
        wake, release = self.policy("wake", nodes=nodes), self.policy("release", nodes=nodes)
        assert (wake["policyType"], wake["adjustmentType"]) == ("StepScaling", "ChangeInCapacity")
        assert wake["stepAdjustments"] == [{"scalingAdjustment": 1, "metricIntervalLowerBound": "0"}]
        assert release["adjustmentType"] == "ExactCapacity"
        assert release["stepAdjustments"][0]["scalingAdjustment"] == 1
