"""A node's coming and going, with the group's own rules and the rights that the node has."""

import http.server
import threading

import pytest

from components.alicloud.ram import node_policy
from tests.alicloud_for_nodes import INSTANCE, member
from tests.unit.alicloud.boot import ACCESS
from tests.unit.alicloud.node.shipped import Shipped, until

STOP = "systemctl stop indextts2-server.service"


@pytest.fixture
def server():
    """A server's /readyz; `ready` says what it answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path == "/readyz" and ready.is_set() else 503)
            self.end_headers()

        def log_message(self, *_):
            pass

    ready, asked = threading.Event(), []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_port, ready, asked
        running.shutdown()
        thread.join()


@pytest.fixture
def running():
    """Starts the program; ends it with the test."""
    started = []

    def start(node):
        started.append(node.start("lifecycle"))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def looks(cloud):
    return sum(name == "DescribeScalingInstances" for name, _ in cloud.calls)


class TestComing:
    def test_it_says_that_it_is_ready_once_the_engine_is_warm(self, tmp_path, cloud, server, running):
        port, ready, asked = server
        cloud.instances[0]["LifecycleState"] = "Pending:Wait"
        wait = cloud.wait_for(INSTANCE, "ash-warm")
        running(Shipped(tmp_path / "node", cloud.url, SERVER_PORT=str(port)))
        until(lambda: len(asked) >= 3)
        assert wait["Result"] is None
        ready.set()
        until(lambda: wait["Result"])
        assert wait["Result"] == "CONTINUE"

    def test_it_speaks_for_no_other_node(self, tmp_path, cloud, server, running):
        port, ready, asked = server
        ready.set()
        other = cloud.wait_for("i-another", "ash-warm")
        cloud.instances[0]["LifecycleState"] = "Pending:Wait"
        running(Shipped(tmp_path / "node", cloud.url, SERVER_PORT=str(port)))
        until(lambda: len(asked) >= 3)
        assert other["Result"] is None

    def test_rights_that_come_later_than_the_node_are_waited_for(self, tmp_path, cloud, server, running):
        port, ready, _ = server
        ready.set()
        policies, cloud.policies = cloud.policies, [node_policy(ACCESS)]
        cloud.instances[0]["LifecycleState"] = "Pending:Wait"
        wait = cloud.wait_for(INSTANCE, "ash-warm")
        running(Shipped(tmp_path / "node", cloud.url, SERVER_PORT=str(port)))
        until(lambda: any("CompleteLifecycleAction" in code for code in cloud.refused))
        cloud.policies = policies
        until(lambda: wait["Result"] == "CONTINUE")


class TestGoing:
    def test_nothing_happens_while_the_node_is_wanted(self, node, cloud, running):
        running(node)
        until(lambda: looks(cloud) > 5)
        assert not node.calls
        assert not cloud.names()

    def test_a_node_that_is_let_go_finishes_and_then_says_so(self, node, cloud):
        cloud.instances[0]["LifecycleState"] = "Removing:Wait"
        wait = cloud.wait_for(INSTANCE, "ash-drain")
        assert node.run("lifecycle").returncode == 0
        assert node.calls == [STOP]
        assert wait["Result"] == "CONTINUE"

    def test_it_says_so_until_the_group_hears_and_stops_the_server_once(self, node, cloud, running):
        cloud.instances[0]["LifecycleState"] = "Removing"
        process = running(node)
        until(lambda: looks(cloud) > 3)
        wait = cloud.wait_for(INSTANCE, "ash-drain")
        assert process.wait(timeout=60) == 0
        assert wait["Result"] == "CONTINUE"
        assert node.calls == [STOP]

    def test_a_spot_notice_drains_and_the_group_is_told_when_it_waits(self, node, cloud, running):
        cloud.metadata["instance/spot/termination-time"] = "2026-01-01T00:05:00Z"
        process = running(node)
        until(lambda: STOP in node.calls)
        before = looks(cloud)
        until(lambda: looks(cloud) > before + 2)
        assert not cloud.names(), "a node that drains asks for nothing more"
        cloud.instances[0]["LifecycleState"] = "Removing:Wait"
        wait = cloud.wait_for(INSTANCE, "ash-drain")
        assert process.wait(timeout=60) == 0
        assert wait["Result"] == "CONTINUE"
        # The server knows how long it has, and gives back what it will not finish.
        order = "docker exec speech indextts2 node drain --stay --within 235 --reason a spot notice"
        assert node.calls == [order, STOP]

    def test_a_cloud_that_is_silent_stops_nothing(self, node, cloud, running):
        cloud.failing["DescribeScalingInstances"] = (503, "ServiceUnavailable")
        running(node)
        until(lambda: cloud.refused.count("ServiceUnavailable") > 3)
        assert not node.calls
        del cloud.failing["DescribeScalingInstances"]
        cloud.instances[0]["LifecycleState"] = "Removing:Wait"
        wait = cloud.wait_for(INSTANCE, "ash-drain")
        until(lambda: wait["Result"] == "CONTINUE")

    def test_its_place_among_many_is_found(self, node, cloud):
        cloud.instances = [member(f"i-{number:03}") for number in range(120)] + [
            member(INSTANCE, state="Removing:Wait")
        ]
        cloud.wait_for(INSTANCE, "ash-drain")
        assert node.run("lifecycle").returncode == 0


class TestGivingWay:
    def test_an_outdated_node_asks_for_one_waits_for_it_and_goes(self, node, cloud, running):
        cloud.group["LaunchTemplateVersion"] = "2"
        process = running(node)
        until(lambda: len(cloud.instances) == 2)
        before = looks(cloud)
        until(lambda: looks(cloud) > before + 4)
        assert cloud.names() == ["ScaleWithAdjustment"], "once, however long the new node takes"
        assert (node.run_dir / "outdated").exists()
        cloud.instances[1]["LifecycleState"] = "InService"
        assert process.wait(timeout=60) == 0
        assert cloud.names() == ["ScaleWithAdjustment", "RemoveInstances", "CompleteLifecycleAction"]
        removed = dict(cloud.calls)["RemoveInstances"]
        assert (removed["InstanceId.1"], removed["DecreaseDesiredCapacity"]) == (INSTANCE, "true")
        assert node.calls == [STOP]

    def test_a_restart_of_the_program_does_not_ask_again(self, node, cloud, running):
        cloud.group["LaunchTemplateVersion"] = "2"
        first = running(node)
        until(lambda: len(cloud.instances) == 2)
        first.kill()
        cloud.instances.pop()
        before = looks(cloud)
        running(node)
        until(lambda: looks(cloud) > before + 4)
        assert cloud.names() == ["ScaleWithAdjustment"]

    def test_an_answer_that_is_lost_does_not_ask_again(self, node, cloud, running):
        cloud.group["LaunchTemplateVersion"] = "2"
        cloud.failing["ScaleWithAdjustment"] = (500, "InternalError")
        running(node)
        until(lambda: "InternalError" in cloud.refused)
        before = looks(cloud)
        until(lambda: looks(cloud) > before + 4)
        assert cloud.refused.count("InternalError") == 1

    def test_what_was_refused_is_asked_again(self, node, cloud, running):
        cloud.group["LaunchTemplateVersion"] = "2"
        cloud.failing["ScaleWithAdjustment"] = (400, "ScalingActivityInProgress")
        running(node)
        until(lambda: cloud.refused.count("ScalingActivityInProgress") > 1)
        del cloud.failing["ScaleWithAdjustment"]
        until(lambda: len(cloud.instances) == 2)

    def test_a_node_of_the_present_template_is_not_outdated(self, node, cloud, running):
        (node.run_dir / "outdated").touch()
        running(node)
        until(lambda: not (node.run_dir / "outdated").exists())

    def test_a_group_at_its_largest_is_told_to_replace_it(self, node, cloud):
        cloud.group |= {"LaunchTemplateVersion": "2", "MaxSize": 1}
        assert node.run("lifecycle").returncode == 0
        assert cloud.names() == ["SetInstanceHealth", "CompleteLifecycleAction"]
        assert node.calls == [STOP]

    def test_another_one_is_never_removed(self, node, cloud):
        cloud.group["LaunchTemplateVersion"] = "2"
        cloud.instances = [member("i-aaa"), member(INSTANCE)]
        cloud.instances[1]["LifecycleState"] = "Removing:Wait"
        cloud.wait_for(INSTANCE, "ash-drain")
        node.run("lifecycle")
        assert cloud.names() == ["CompleteLifecycleAction"]


class TestFirstMoments:
    def test_an_instance_that_does_not_know_itself_yet_asks_for_nothing(self, node, cloud, running):
        cloud.metadata["instance-id"] = None
        cloud.instances[0]["LifecycleState"] = "Removing:Wait"
        wait = cloud.wait_for(INSTANCE, "ash-drain")
        running(node)
        before = len(cloud.tokens)
        until(lambda: len(cloud.tokens) > before + 3)
        assert not cloud.calls
        cloud.metadata["instance-id"] = INSTANCE
        until(lambda: wait["Result"] == "CONTINUE")
