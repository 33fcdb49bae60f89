"""One template after another: who gives way, when, and that no fewer serve while more can be had."""

import pytest

from components.alicloud.node.rolling import ADD, LEAVE, PATIENCE_SECONDS, REPLACE, STAY, decide, outdated
from tests.alicloud_for_nodes import member

OLD, NEW = "1", "2"


def group(version=NEW, total=2, most=4, template="lt-1", desired=0):
    return {
        "DesiredCapacity": desired,
        "LaunchTemplateId": template,
        "LaunchTemplateVersion": version,
        "TotalCapacity": total,
        "MaxSize": most,
    }


def members(*versions, state="InService"):
    return [member(f"i-{number}", version=version, state=state) for number, version in enumerate(versions)]


class TestWhoActs:
    def test_a_group_of_one_template_is_left_alone(self):
        assert decide("i-0", members(NEW, NEW), group(), None, 0) == STAY

    def test_the_first_of_the_outdated_acts_and_no_other(self):
        nodes = members(NEW, OLD, OLD)
        assert [decide(one["InstanceId"], nodes, group(total=3), None, 0) for one in nodes] == [STAY, ADD, STAY]

    def test_another_template_of_the_same_version_is_another(self):
        assert decide("i-0", members(NEW), group(template="lt-2", total=1), None, 0) == ADD

    @pytest.mark.parametrize("version", ["Default", "Latest", "", None])
    def test_what_is_no_number_replaces_nothing(self, version):
        assert decide("i-0", members(OLD), group(version=version), None, 0) == STAY
        assert decide("i-0", members(version), group(), None, 0) == STAY

    @pytest.mark.parametrize("state", ["Pending", "Pending:Wait", "Removing", "Removing:Wait", "Stopped"])
    def test_nothing_begins_while_another_comes_or_goes(self, state):
        nodes = [*members(OLD), member("i-9", version=NEW, state=state)]
        assert decide("i-0", nodes, group(), None, 0) == STAY

    def test_a_node_that_is_not_in_service_does_not_act(self):
        assert decide("i-0", members(OLD, state="Pending"), group(total=1), None, 0) == STAY


class TestOutdated:
    def test_those_in_service_of_another_template(self):
        nodes = [*members(OLD, NEW, OLD), member("i-9", version=OLD, state="Removing")]
        assert outdated(nodes, group()) == ["i-0", "i-2"]

    def test_nobody_where_nothing_can_be_compared(self):
        assert outdated(members(OLD), group(version="Latest")) == []


class TestSteps:
    def test_it_asks_for_one_more_then_waits_then_goes(self):
        assert decide("i-0", members(OLD), group(total=1), None, 0) == ADD
        coming = [*members(OLD), member("i-9", version=NEW, state="Pending:Wait")]
        assert decide("i-0", coming, group(), 1, 60) == STAY
        assert decide("i-0", members(OLD, NEW), group(), 1, 300) == LEAVE

    def test_it_does_not_go_for_one_that_is_outdated_too(self):
        assert decide("i-0", members(OLD, OLD), group(), 1, 300) == STAY

    def test_it_does_not_go_when_another_went_meanwhile(self):
        assert decide("i-0", members(OLD, NEW), group(), 2, 300) == STAY

    def test_one_that_does_not_come_is_asked_for_again_after_long_patience(self):
        assert decide("i-0", members(OLD), group(total=1), 1, PATIENCE_SECONDS - 1) == STAY
        assert decide("i-0", members(OLD), group(total=1), 1, PATIENCE_SECONDS) == ADD

    def test_a_group_that_tries_again_by_itself_is_asked_for_no_more(self):
        failing = group(total=1, desired=2)
        assert decide("i-0", members(OLD), failing, 1, PATIENCE_SECONDS * 10) == STAY

    def test_a_group_at_its_largest_replaces_one_at_a_time(self):
        assert decide("i-0", members(OLD, OLD), group(total=2, most=2), None, 0) == REPLACE
        assert decide("i-1", members(OLD, OLD), group(total=2, most=2), None, 0) == STAY


class TestRoll:
    """Every step of a roll, the group doing what it is told."""

    @pytest.mark.parametrize(("nodes", "most"), [(1, 2), (3, 4), (3, 10), (2, 2), (4, 4)])
    def test_it_ends_with_every_node_on_the_new_template_and_as_many_as_before(self, nodes, most):
        there, asked, least, number, desired = members(*[OLD] * nodes), {}, nodes, nodes, nodes
        for _ in range(20 * nodes):
            for one in there:
                if one["LifecycleState"] == "Pending":
                    one["LifecycleState"] = "InService"
            steps = {
                one["InstanceId"]: decide(
                    one["InstanceId"],
                    there,
                    group(total=len(there), most=most, desired=desired),
                    asked.get(one["InstanceId"]),
                    60,
                )
                for one in there
            }
            acting = [(who, step) for who, step in steps.items() if step != STAY]
            assert len(acting) <= 1
            for who, step in acting:
                desired += {ADD: 1, LEAVE: -1, REPLACE: 0}[step]
                if step == ADD:
                    asked[who] = len(there)
                else:
                    there = [one for one in there if one["InstanceId"] != who]
                    least = min(least, len(there))
                if step != LEAVE:
                    number += 1
                    there.append(member(f"i-new{number}", version=NEW, state="Pending"))
            if not acting and all(one["LifecycleState"] == "InService" for one in there):
                break
        assert [one["LaunchTemplateVersion"] for one in there] == [NEW] * nodes
        assert least == (nodes if nodes < most else nodes - 1)
