"""Alarms, what they do, the budget and the dashboard."""

import json
import re
from pathlib import Path

import pytest

from components.aws.alarms import Watched, alarms
from components.aws.dashboard import dashboard_body, dashboard_url
from components.aws.user_data import render
from tests.unit.aws.metric_math import figure
from tests.unit.aws.test_user_data import BOOT
from tests.unit.aws.whole_stack import whole_stack

WATCHED = Watched("a-fleet", "a-queue", "dead-letters", "app/lb/1", "targetgroup/tg/1")
ALARMS = {alarm.name: alarm for alarm in alarms(WATCHED, idle_minutes=30)}


def goes_off(name, **reported):
    """Whether a minute of these figures is one that counts; what is not given was not reported."""
    queries = ALARMS[name].queries
    found = figure(queries, {query.id: reported.get(query.id) for query in queries if query.metric})
    return found is not None and found >= ALARMS[name].threshold


class TestWake:
    NAMES = ("job-without-a-node", "caller-without-a-node")

    @pytest.mark.parametrize("name", NAMES)
    def test_work_without_a_node_starts_one(self, name):
        assert goes_off(name, asking=1, wanted=0)
        assert goes_off(name, asking=1), "a group that is asleep may report nothing"

    @pytest.mark.parametrize("name", NAMES)
    def test_a_node_that_is_on_its_way_is_enough(self, name):
        assert not goes_off(name, asking=50, wanted=1)

    @pytest.mark.parametrize("name", NAMES)
    def test_a_quiet_stack_sleeps(self, name):
        assert not goes_off(name, asking=0, wanted=0)
        assert not goes_off(name, wanted=0)

    @pytest.mark.parametrize("name", NAMES)
    def test_it_acts_within_a_minute_and_wakes_no_person(self, name):
        alarm = ALARMS[name]
        assert (alarm.minutes, alarm.action, alarm.tells) == (1, "wake", False)

    def test_jobs_are_seen_in_the_queue_and_callers_at_the_load_balancer(self):
        asked = {name: ALARMS[name].queries[0].metric for name in self.NAMES}
        assert asked["job-without-a-node"].dimensions == {"QueueName": "a-queue"}
        assert asked["caller-without-a-node"].name == "HTTPCode_ELB_503_Count"


class TestIdle:
    def test_nodes_without_work_are_idle(self):
        assert goes_off("idle-gpus", busiest=0)
        assert goes_off("idle-gpus", busiest=0.004)

    def test_one_busy_node_is_enough(self):
        assert not goes_off("idle-gpus", busiest=0.05)

    def test_no_node_is_not_idle(self):
        assert not goes_off("idle-gpus")

    def test_it_releases_and_tells_after_the_minutes_of_the_settings(self):
        alarm = ALARMS["idle-gpus"]
        assert (alarm.minutes, alarm.action, alarm.tells) == (30, "release", True)


class TestHealth:
    @pytest.mark.parametrize("name", ["server-errors", "unanswered"])
    def test_errors_count_by_their_share(self, name):
        assert goes_off(name, requests=100, errors=6)
        assert not goes_off(name, requests=1000, errors=10)
        assert not goes_off(name, requests=3, errors=3), "a few are one unlucky client's"
        assert not goes_off(name, requests=100)

    def test_nodes_none_of_which_is_well(self):
        assert goes_off("no-healthy-node", nodes=2, healthy=0)
        assert goes_off("no-healthy-node", nodes=1), "a target group of no targets reports nothing"
        assert not goes_off("no-healthy-node", nodes=2, healthy=1)
        assert not goes_off("no-healthy-node", nodes=0, healthy=0)
        assert not goes_off("no-healthy-node")

    def test_it_waits_out_a_cold_start(self):
        assert ALARMS["no-healthy-node"].minutes > 15

    def test_capacity_that_does_not_come(self):
        assert goes_off("no-capacity", wanted=3, nodes=2)
        assert not goes_off("no-capacity", wanted=2, nodes=2)
        assert not goes_off("no-capacity", wanted=1, nodes=2)
        assert not goes_off("no-capacity")

    def test_dead_letters_old_jobs_and_slow_starts(self):
        assert goes_off("dead-letters", dead=1)
        assert not goes_off("dead-letters", dead=0)
        assert goes_off("old-jobs", age=6 * 3600)
        assert goes_off("cold-start", cold=481)
        assert not goes_off("cold-start", cold=479)

    def test_what_nodes_report_is_what_alarms_ask_for(self):
        script = render(BOOT)
        names = {
            query.metric.name
            for alarm in ALARMS.values()
            for query in alarm.queries
            if query.metric and query.metric.namespace == "IndexTTS2"
        }
        assert names == {"BusyFraction", "ColdStartSeconds"}
        assert all(f'"{name}"' in script for name in names)

    @pytest.mark.parametrize("page", ["alarms.md", "alarms.zh-CN.md"])
    def test_the_page_has_each_alarm_and_no_other(self, page):
        text = (Path(__file__).resolve().parents[3] / "docs" / page).read_text(encoding="utf-8")
        rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
        assert set(re.findall(r"`([a-z-]+)`", " ".join(rows))) == set(ALARMS)

    def test_every_alarm_says_what_to_do_within_cloudwatchs_length(self):
        assert all(20 < len(alarm.text) < 1024 for alarm in ALARMS.values())


class TestMonitoring:
    def alarm(self, name, **values):
        return whole_stack(**values)[0].named(f"speech-{name}", ":MetricAlarm").values

    def test_each_alarm_is_made(self):
        made = {one.name for one in whole_stack()[0].all_of_type(":MetricAlarm")}
        assert made == {f"speech-{name}" for name in ALARMS}

    def test_silence_is_no_alarm(self):
        assert {one.values["treatMissingData"] for one in whole_stack()[0].all_of_type(":MetricAlarm")} == {
            "notBreaching"
        }

    def test_one_figure_of_an_alarm_is_what_it_looks_at(self):
        for one in whole_stack()[0].all_of_type(":MetricAlarm"):
            assert [query["returnData"] for query in one.values["metricQueries"]].count(True) == 1

    def test_waking_calls_the_policy_only_and_idling_calls_and_tells(self):
        (wake,) = self.alarm("caller-without-a-node")["alarmActions"]
        assert self.alarm("job-without-a-node")["alarmActions"] == [wake]
        release, topic = self.alarm("idle-gpus")["alarmActions"]
        assert "speech-wake" in wake
        assert "speech-release" in release
        assert self.alarm("dead-letters")["alarmActions"] == [topic]
        assert "speech-alarms" in topic

    def test_idle_minutes_are_the_settings(self):
        made = self.alarm("idle-gpus", alarms={"idleMinutes": 45})
        assert (made["evaluationPeriods"], made["datapointsToAlarm"]) == (45, 45)

    def test_the_topic_is_one_that_cloudwatch_can_write_to(self):
        recorder, _ = whole_stack()
        topic = recorder.named("speech-alarms", ":Topic")
        assert "kmsMasterKeyId" not in topic.values
        policy = json.loads(recorder.named("speech-alarms", ":TopicPolicy").values["policy"])
        assert [one["Principal"] for one in policy["Statement"]] == [{"Service": "cloudwatch.amazonaws.com"}]

    def test_an_address_hears_of_alarms(self):
        recorder, _ = whole_stack(alarms={"email": "studio@example.com"})
        made = recorder.of_type(":TopicSubscription").values
        assert (made["protocol"], made["endpoint"]) == ("email", "studio@example.com")
        assert not whole_stack()[0].all_of_type(":TopicSubscription")

    def test_a_budget_tells_before_it_is_spent(self):
        recorder, _ = whole_stack(alarms={"email": "studio@example.com", "monthlyBudgetUsd": 400})
        made = recorder.of_type(":Budget").values
        assert (made["limitAmount"], made["limitUnit"], made["timeUnit"]) == ("400", "USD", "MONTHLY")
        kinds = {(one["notificationType"], one["threshold"]) for one in made["notifications"]}
        assert kinds == {("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)}
        assert all(one["subscriberEmailAddresses"] == ["studio@example.com"] for one in made["notifications"])

    def test_no_budget_is_no_budget(self):
        assert not whole_stack(alarms={"email": "studio@example.com"})[0].all_of_type(":Budget")


class TestDashboard:
    BODY = json.loads(dashboard_body(WATCHED, "eu-west-1"))

    def test_nothing_lies_over_another(self):
        places = [(one["x"], one["y"]) for one in self.BODY["widgets"]]
        assert len(set(places)) == len(places)
        assert all(one["x"] + one["width"] <= 24 for one in self.BODY["widgets"])

    def test_every_graph_is_of_the_stacks_region(self):
        assert {one["properties"]["region"] for one in self.BODY["widgets"]} == {"eu-west-1"}

    def test_the_figure_that_scaling_follows_is_shown_with_its_target(self):
        first = self.BODY["widgets"][0]["properties"]
        shown = [row[-1]["id"] for row in first["metrics"] if row[-1]["visible"]]
        assert shown == ["demand"]
        assert first["annotations"]["horizontal"][0]["value"] > 0

    @pytest.mark.parametrize("name", ["a-queue", "dead-letters", "app/lb/1", "targetgroup/tg/1", "a-fleet"])
    def test_it_shows_every_part(self, name):
        assert f'"{name}"' in json.dumps(self.BODY)

    def test_the_output_opens_it(self):
        recorder, outputs = whole_stack()
        name = recorder.of_type(":Dashboard").values["dashboardName"]
        assert outputs["dashboard_url"] == dashboard_url("us-west-2", name)
        assert json.loads(recorder.of_type(":Dashboard").values["dashboardBody"])["widgets"]
