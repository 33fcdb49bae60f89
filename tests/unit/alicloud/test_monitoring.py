"""Alarms and the dashboard: what they look at, whom they tell, and what they make the group do."""

import json
import re

import pytest

from components.alicloud.alarms import BACKLOG_JOBS, Watched, alarms
from components.alicloud.dashboard import charts, dashboard_url
from components.alicloud.scaling import TRIGGERS
from components.alicloud.user_data import PROGRAMS
from tests.unit.alicloud.every_part import every_part

WATCHED = Watched("cn-hangzhou", "1234567890123456", "a-fleet", "7654321", "a-queue", "dead-letters", "alb-0123")
ALARMS = {alarm.name: alarm for alarm in alarms(WATCHED, 30)}
MAILED = {"alarms": {"email": "studio@example.com", "idleMinutes": 30}}


def goes_off(name, **figures):
    """Whether an alarm goes off on these figures, by the names of the metrics; what is not given is not reported."""
    compare = {">": float.__gt__, ">=": float.__ge__, "<": float.__lt__}
    return all(
        one.metric.name in figures and compare[one.comparison](float(figures[one.metric.name]), float(one.threshold))
        for one in ALARMS[name].conditions
    )


class TestWhen:
    def test_a_job_that_nobody_works_on_starts_a_node(self):
        assert goes_off("job-without-a-node", ActiveMessages=1, InactiveMessages=0)
        assert not goes_off("job-without-a-node", ActiveMessages=5, InactiveMessages=1)
        assert not goes_off("job-without-a-node", ActiveMessages=0, InactiveMessages=0)

    def test_a_caller_who_is_turned_away_starts_one(self):
        assert goes_off("caller-without-a-node", LoadBalancerHTTPCode503=0.02)
        assert not goes_off("caller-without-a-node", LoadBalancerHTTPCode503=0)

    def test_a_backlog_starts_one_more(self):
        assert goes_off("backlog", ActiveMessages=BACKLOG_JOBS)
        assert not goes_off("backlog", ActiveMessages=BACKLOG_JOBS - 1)

    def test_one_unlucky_client_is_no_broken_service(self):
        assert not goes_off("server-errors", LoadBalancerHTTPCodeUpstream5XX=0.1)
        assert goes_off("server-errors", LoadBalancerHTTPCodeUpstream5XX=0.5)

    def test_no_node_at_all_is_no_unhealthy_one(self):
        assert not goes_off("no-healthy-node", LoadBalancerUnHealthyHostCount=0, LoadBalancerHealthyHostCount=0)
        assert goes_off("no-healthy-node", LoadBalancerUnHealthyHostCount=2, LoadBalancerHealthyHostCount=0)
        assert not goes_off("no-healthy-node", LoadBalancerUnHealthyHostCount=1, LoadBalancerHealthyHostCount=1)

    def test_silence_is_no_idleness(self):
        assert not goes_off("idle-gpus")
        assert goes_off("idle-gpus", BusyFraction=0)
        assert not goes_off("idle-gpus", BusyFraction=0.02)

    def test_the_others(self):
        assert goes_off("dead-letters", ActiveMessages=1)
        assert not goes_off("dead-letters", ActiveMessages=0)
        assert goes_off("stuck-jobs", ActiveMessages=1, InactiveMessages=0)
        assert goes_off("stuck-roll", Outdated=1)
        assert not goes_off("stuck-roll", Outdated=0)
        assert goes_off("cold-start", ColdStartSeconds=480)
        assert not goes_off("cold-start", ColdStartSeconds=479)


class TestAlarms:
    def test_all_conditions_of_one_are_of_one_thing(self):
        for alarm in ALARMS.values():
            assert len({(one.metric.namespace, str(one.metric.dimensions)) for one in alarm.conditions}) == 1

    def test_what_nodes_report_is_what_is_asked_for(self):
        source = (PROGRAMS / "report.py").read_text()
        names = {
            one.metric.name
            for alarm in ALARMS.values()
            for one in alarm.conditions
            if one.metric.namespace.startswith("acs_customMetric_")
        }
        assert names == {"BusyFraction", "ColdStartSeconds", "Outdated"}
        assert all(f'"{name}"' in source for name in names)
        assert '"Demand"' in source and len(TRIGGERS) == 3

    def test_dead_letters_are_another_queues(self):
        (one,) = ALARMS["dead-letters"].conditions
        assert one.metric.dimensions["queue"] == "dead-letters"

    def test_every_alarm_says_what_to_do(self):
        assert all(20 < len(alarm.text) < 500 for alarm in ALARMS.values())


class TestMade:
    def alarm(self, name, **values):
        return every_part(**values)[0].named(f"speech-{name}", "cms/alarm:Alarm").values

    def test_each_alarm_is_made(self):
        made = {one.name for one in every_part()[0].all_of_type("cms/alarm:Alarm")}
        assert made == {f"speech-{name}" for name in ALARMS}

    def test_each_looks_at_this_stacks_things(self):
        recorder, _ = every_part()
        (queue,) = json.loads(self.alarm("backlog")["metricDimensions"])
        assert queue["queue"] == recorder.named("speech-jobs", ":ServiceQueue").values["queueName"]
        (balancer,) = json.loads(self.alarm("unanswered")["metricDimensions"])
        assert balancer["loadBalancerId"].startswith("alb-")

    @pytest.mark.parametrize(("name", "rule"), [("job-without-a-node", "wake"), ("caller-without-a-node", "wake"),
                                                ("backlog", "grow")])  # fmt: skip
    def test_those_that_start_nodes_call_a_rule_of_the_group(self, name, rule):
        recorder, _ = every_part()
        (target,) = self.alarm(name)["targets"]
        found = re.fullmatch(
            r"acs:ess:cn-hangzhou:1234567890123456:scalingGroupId/(asg-\w+):scalingRuleId/(asr-\w+)", target["arn"]
        )
        assert found
        made = recorder.named(f"speech-{rule}", ":ScalingRule")
        assert made.values["scalingGroupId"] == found[1]
        assert self.alarm(name)["silenceTime"] == 300

    def test_the_others_call_nothing(self):
        for name, alarm in ALARMS.items():
            if alarm.rule is None:
                assert "targets" not in self.alarm(name)

    def test_one_way_to_say_when_is_given(self):
        for name, alarm in ALARMS.items():
            made = self.alarm(name)
            given = [key for key in made if key.startswith("escalations") or key == "compositeExpression"]
            assert len(given) == 1
            assert (given[0] == "compositeExpression") == (len(alarm.conditions) > 1)

    @pytest.mark.parametrize(("minutes", "period", "times"), [(45, 60, 45), (180, 60, 180), (1440, 300, 288)])
    def test_idle_minutes_are_the_settings(self, minutes, period, times):
        made = self.alarm("idle-gpus", alarms={"idleMinutes": minutes})
        assert (made["period"], made["escalationsWarn"]["times"]) == (period, times)

    def test_an_address_hears_of_alarms(self):
        recorder, _ = every_part(**MAILED)
        contact = recorder.of_type(":AlarmContact").values
        assert contact["channelsMail"] == "studio@example.com"
        assert len(contact["alarmContactName"]) <= 40
        group = recorder.of_type(":AlarmContactGroup").values
        assert group["contacts"] == [contact["alarmContactName"]]
        assert self.alarm("dead-letters", **MAILED)["contactGroups"] == [group["alarmContactGroupName"]]

    def test_without_one_the_group_is_there_and_empty(self):
        recorder, _ = every_part()
        assert not recorder.all_of_type(":AlarmContact")
        assert not recorder.of_type(":AlarmContactGroup").values.get("contacts")


class TestDashboard:
    def test_nothing_lies_over_another(self):
        places = [(one["display"]["xPos"], one["display"]["yPos"]) for one in charts()]
        assert len(set(places)) == len(places)

    def test_every_chart_asks_for_what_it_shows(self):
        for one in charts():
            for name in [*one["display"]["xAxis"], *one["display"]["yAxis"]]:
                assert f"AS {name}" in one["search"]["query"]

    def test_the_output_opens_it(self):
        recorder, outputs = every_part()
        made = recorder.of_type("log/dashboard:Dashboard").values
        assert outputs["dashboard_url"] == dashboard_url(made["projectName"], made["dashboardName"])
        assert len(json.loads(made["charList"])) == len(charts())
