"""The Alibaba Cloud target by the real Pulumi engine and the stand-in provider: made, changed, moved, broken, mended.

Needs an engine because the order in which it makes and deletes is what is tested. What it does not test is Alibaba
Cloud: see `tests/engine/standin/__init__.py`. The tests of a class go through one stack's life in the order in which
they stand.
"""

from collections.abc import Iterator

import pytest

from tests.engine.cloud_stack import KEY, OUTPUTS, PROD_CN, TRIAL_CN, CloudStack, operations, stack_of
from tests.engine.standin.account import Account
from tests.engine.standin.vendor import GLOBAL
from tests.invented_alicloud import ACCOUNT
from tests.sdk_schema import resource_schema

pytestmark = pytest.mark.engine

ROTATED = "the-key-that-came-after-it-and-is-long-0123456789"
GROUP = "alicloud:ess/scalingGroup:ScalingGroup"
TEMPLATE = "alicloud:ecs/ecsLaunchTemplate:EcsLaunchTemplate"
SERVER_GROUP = "alicloud:alb/serverGroup:ServerGroup"


@pytest.fixture(scope="class")
def account() -> Account:
    return Account(number=ACCOUNT)


@pytest.fixture(scope="class")
def prod(account: Account) -> Iterator[CloudStack]:
    yield from stack_of(PROD_CN, account)


@pytest.fixture(scope="class")
def trial(account: Account) -> Iterator[CloudStack]:
    yield from stack_of(TRIAL_CN, account)


class TestProd:
    def test_a_preview_makes_nothing(self, prod: CloudStack, account: Account):
        plan = prod.plan()
        assert operations(plan) == {"create"}
        assert "alicloud:ess/scalingGroup:ScalingGroup" in {token for _, token, _ in plan}
        assert account.living == []

    def test_up_makes_what_was_planned_and_the_account_refuses_nothing(self, prod: CloudStack, account: Account):
        prod.up()
        assert account.refusals == []
        outputs = prod.outputs()
        assert set(outputs) == OUTPUTS
        assert outputs["url"] == "https://speech.example.cn"
        assert outputs["region"] == "cn-hangzhou"
        assert "@sha256:" in outputs["image"]

    def test_the_next_up_and_preview_and_a_refresh_have_nothing_to_do(self, prod: CloudStack, account: Account):
        account.journal.clear()
        prod.up()
        assert account.journal == []
        prod.preview("--expect-no-changes")
        prod.preview("--refresh", "--expect-no-changes")

    def test_what_scaling_decided_is_left_alone(self, prod: CloudStack, account: Account):
        """How many nodes there are, and who is behind the load balancer."""
        (group,) = account.of_type(":ScalingGroup")
        group.outputs["desiredCapacity"] = 3
        (servers,) = account.of_type(":ServerGroup")
        servers.outputs["servers"] = [{"serverId": "i-bp10123456789abcdefg", "serverType": "Ecs", "port": 8000}]
        account.journal.clear()
        prod.up("--refresh")
        assert account.journal == []

    def test_everything_lives_in_the_stacks_region_and_carries_its_tags(self, prod: CloudStack, account: Account):
        assert {one.region for one in account.living} == {"cn-hangzhou", GLOBAL}
        tagged = [one for one in account.living if "tags" in resource_schema(one.token).inputs]
        assert len(tagged) > 10
        for one in tagged:
            assert one.inputs["tags"]["stack"] == "test", one.logical_name
            assert one.inputs["tags"]["project"] == "indextts2", one.logical_name

    def test_no_key_is_in_the_exported_state(self, prod: CloudStack, account: Account):
        (parameter,) = account.of_type(":SecretParameter")
        assert KEY in parameter.inputs["value"]
        assert KEY not in prod.export()

    def test_more_nodes_change_the_group_in_place(self, prod: CloudStack, account: Account):
        account.journal.clear()
        prod.configure_path("nodes.max", "6")
        prod.up()
        assert {operation for operation, *_ in account.journal} == {"update"}
        (group,) = account.of_type(":ScalingGroup")
        assert group.inputs["maxSize"] == 6
        assert GROUP in {token for _, token, *_ in account.journal}

    def test_rotated_keys_change_the_parameter_and_touch_no_node(self, prod: CloudStack, account: Account):
        account.journal.clear()
        prod.configure_path("apiKeys.studio", ROTATED, secret=True)
        prod.up()
        assert [(operation, token) for operation, token, *_ in account.journal] == [
            ("update", "alicloud:oos/secretParameter:SecretParameter")
        ]
        assert ROTATED in account.of_type(":SecretParameter")[0].inputs["value"]
        assert ROTATED not in prod.export()

    def test_another_image_is_a_new_version_of_the_template_and_the_group_stays(
        self, prod: CloudStack, account: Account
    ):
        (prod.project / "inference" / "speech_server" / "changed.py").write_text("# another image\n")
        before = prod.outputs()["image"]
        template = account.of_type(":EcsLaunchTemplate")[0].outputs["latestVersionNumber"]
        (group,) = account.of_type(":ScalingGroup")
        account.journal.clear()
        prod.up()
        assert prod.outputs()["image"] != before
        assert account.of_type(":EcsLaunchTemplate")[0].outputs["latestVersionNumber"] == template + 1
        assert [one.identity for one in account.of_type(":ScalingGroup")] == [group.identity]
        assert "delete" not in {operation for operation, token, *_ in account.journal if token in (GROUP, SERVER_GROUP)}
        prod.preview("--expect-no-changes")

    def test_it_refuses_to_be_destroyed(self, prod: CloudStack, account: Account):
        account.journal.clear()
        there = len(account.living)
        assert "protected" in prod.destroy(check=False)
        assert len(account.living) == there
        assert account.journal == []

    def test_it_refuses_to_be_moved_away(self, prod: CloudStack):
        registry = {"host": "studio-registry.{}.cr.aliyuncs.com", "nodeHost": "studio-registry-vpc.{}.cr.aliyuncs.com"}
        move(prod, "cn-shanghai")
        for key, host in registry.items():
            prod.configure_path(f"registry.{key}", host.format("cn-shanghai"))
        assert "marked for protection" in prod.preview(check=False)
        move(prod, "cn-hangzhou")
        for key, host in registry.items():
            prod.configure_path(f"registry.{key}", host.format("cn-hangzhou"))
        prod.preview("--expect-no-changes")

    def test_without_protection_it_can_be_destroyed(self, prod: CloudStack, account: Account):
        prod.configure_path("protect", "false")
        prod.up()
        prod.destroy()
        assert account.living == []
        assert account.refusals == []


class TestMoving:
    def test_it_comes_up_with_a_ready_image_and_builds_none(self, trial: CloudStack, account: Account):
        trial.up()
        assert account.refusals == []
        assert account.of_type(":Image") == []
        trial.preview("--expect-no-changes")

    def test_another_region_is_made_whole_before_the_old_one_goes(self, trial: CloudStack, account: Account):
        account.journal.clear()
        records = [one.identity for one in account.of_type(":AlidnsRecord")]
        move(trial, "cn-shanghai")
        trial.up()
        assert account.refusals == []
        assert {one.region for one in account.living} == {"cn-shanghai", GLOBAL}
        made = [
            at for at, (done, *_, place) in enumerate(account.journal) if (done, place) == ("create", "cn-shanghai")
        ]
        gone = [
            at for at, (done, *_, place) in enumerate(account.journal) if (done, place) == ("delete", "cn-hangzhou")
        ]
        assert max(made) < min(gone)
        # The name is pointed to the new load balancer in place, once that is there and before the old one goes.
        (record,) = account.of_type(":AlidnsRecord")
        assert [record.identity] == records
        (balancer,) = account.of_type(":LoadBalancer")
        assert record.inputs["value"] == balancer.outputs["dnsName"]
        pointed = [at for at, (done, token, *_) in enumerate(account.journal) if done == "update" and "Alidns" in token]
        assert len(pointed) == 1
        assert pointed[0] < min(gone)
        trial.preview("--expect-no-changes")

    def test_destroy_leaves_nothing(self, trial: CloudStack, account: Account):
        account.refusals.clear()
        trial.destroy()
        assert account.refusals == []
        assert account.living == []


class TestMending:
    """A creation that fails half-way, mended by nothing but the next `up`."""

    def test_what_failed_is_made_by_the_next_up(self, trial: CloudStack, account: Account):
        account.fail_once("create", "alb/loadBalancer:LoadBalancer", "no capacity in the zone")
        account.fail_once("create", "ess/scalingGroup:ScalingGroup", "throttled")
        shown = trial.up(check=False)
        assert "no capacity in the zone" in shown or "throttled" in shown
        assert account.of_type(":Network")
        assert not account.of_type(":Listener")
        for _ in range(2):
            if not account.of_type(":Listener"):
                trial.up(check=False)
        trial.up()
        trial.preview("--expect-no-changes")
        assert account.failures == []

    def test_a_group_that_is_there_and_not_ready_is_kept_and_finished(self, trial: CloudStack, account: Account):
        (group,) = account.of_type(":ScalingGroup")
        account.fail_once(
            "update", "ess/scalingGroup:ScalingGroup", "a scaling activity is in progress", half_made=True
        )
        trial.configure_path("nodes.max", "5")
        assert "a scaling activity is in progress" in trial.up(check=False)
        trial.up()
        assert [one.identity for one in account.of_type(":ScalingGroup")] == [group.identity]
        trial.preview("--expect-no-changes")

    def test_another_zone_moves_no_other_vswitch(self, trial: CloudStack, account: Account):
        there = {one.logical_name: one.identity for one in account.of_type(":Switch")}
        trial.configure_path("zones[2]", "cn-hangzhou-j")
        trial.up()
        now = {one.logical_name: one.identity for one in account.of_type(":Switch")}
        assert there.items() < now.items()
        assert account.refusals == []
        trial.preview("--expect-no-changes")

    def test_a_deletion_that_fails_is_finished_by_the_next_destroy(self, trial: CloudStack, account: Account):
        account.fail_once("delete", "vpc/network:Network", "DependencyViolation: a vSwitch is still there")
        assert "a vSwitch is still there" in trial.destroy(check=False)
        trial.destroy()
        assert account.living == []


class TestAccountFacts:
    """What the account cannot carry stops a preview; what it will not say is a warning."""

    def test_a_quota_that_is_too_low(self, trial: CloudStack, account: Account):
        account.quotas = {"ecs.gn6i-c4g1.xlarge": 0.0, "ecs.gn6i-c8g1.2xlarge": 0.0}
        shown = trial.preview(check=False)
        account.quotas = {}
        assert "indextts2:nodes.onDemandBase" in shown
        assert account.living == []

    def test_questions_that_are_denied(self, trial: CloudStack, account: Account):
        account.denied = {"alicloud:quotas/getQuotas:getQuotas", "alicloud:alb/getZones:getZones"}
        shown = trial.preview()
        account.denied = set()
        assert "AccessDenied" in shown
        assert "indextts2:nodes: whether" in shown
        assert "indextts2:zones: whether a load balancer can be in them is not known" in shown

    def test_zones_that_will_not_do_are_named_with_those_that_would(self, trial: CloudStack, account: Account):
        trial.configure_path("zones[1]", "cn-hangzhou-b")
        shown = trial.preview(check=False)
        trial.configure_path("zones[1]", "cn-hangzhou-i")
        assert "indextts2:zones" in shown
        assert "cn-hangzhou-b" in shown
        assert "cn-hangzhou-h, cn-hangzhou-i" in shown
        assert account.living == []

    def test_another_account_than_the_one_that_is_named(self, trial: CloudStack, account: Account):
        trial.configure_path("accountId", "9999999999999999")
        shown = trial.preview(check=False)
        assert "indextts2:accountId: '9999999999999999'" in shown
        assert ACCOUNT in shown
        assert account.living == []


def move(stack: CloudStack, region: str) -> None:
    """To the region's zones h and i, or what it has under these letters."""
    stack.configure_path("region", region)
    for number, letter in enumerate("hi" if region == "cn-hangzhou" else "ln"):
        stack.configure_path(f"zones[{number}]", f"{region}-{letter}")
