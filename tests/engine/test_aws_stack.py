"""The AWS target by the real Pulumi engine and the stand-in provider: made, changed, moved, broken, mended, unmade.

Needs an engine because the order in which it makes and deletes is what is tested. What it does not test is AWS: see
`tests/engine/standin/__init__.py`. The tests of a class go through one stack's life in the order in which they stand.
"""

from collections.abc import Iterator

import pytest

from tests.engine.cloud_stack import DEV, KEY, OUTPUTS, PROD, CloudStack, operations, stack_of
from tests.engine.standin.account import Account
from tests.engine.standin.vendor import GLOBAL

pytestmark = pytest.mark.engine

# On-demand and spot vCPUs of G and VT instances:
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
QUOTA_CODES = ("L-DB2E81BA", "L-3819A6DF")
ROTATED = "the-key-that-came-after-it-and-is-long-0123456789"


@pytest.fixture(scope="class")
def account() -> Account:
    return Account()


@pytest.fixture(scope="class")
def dev(account: Account) -> Iterator[CloudStack]:
    yield from stack_of(DEV, account)


@pytest.fixture(scope="class")
def prod(account: Account) -> Iterator[CloudStack]:
    yield from stack_of(PROD, account)


def moment(account: Account, operation: str, ending: str, region: str) -> int:
    """When this happened first, as a place in the journal."""
    return next(
        at
        for at, (done, token, _, place) in enumerate(account.journal)
        if done == operation and token.endswith(ending) and place == region
    )


class TestDev:
    def test_a_preview_makes_nothing(self, dev: CloudStack, account: Account):
        plan = dev.plan()
        assert operations(plan) == {"create"}
        assert ("create", "aws:autoscaling/group:Group", "speech-nodes") in plan
        assert account.living == []

    def test_up_makes_what_was_planned_and_the_account_refuses_nothing(self, dev: CloudStack, account: Account):
        dev.up()
        assert account.refusals == []
        assert set(dev.outputs()) == OUTPUTS
        assert dev.outputs()["url"].startswith("http://")

    def test_the_next_preview_and_a_refresh_show_nothing_to_do(self, dev: CloudStack):
        dev.preview("--expect-no-changes")
        dev.preview("--refresh", "--expect-no-changes")

    def test_everything_lives_in_the_stacks_region_and_carries_its_tags(self, dev: CloudStack, account: Account):
        assert {one.region for one in account.living} == {"us-west-2", GLOBAL}
        tagged = [one for one in account.living if "tagsAll" in one.outputs]
        assert len(tagged) > 20
        for one in tagged:
            assert one.outputs["tagsAll"]["stack"] == "test", one.logical_name
            assert one.outputs["tagsAll"]["project"] == "indextts2", one.logical_name

    def test_no_key_is_in_the_exported_state(self, dev: CloudStack):
        assert "secretStringWo" in dev.export()
        assert KEY not in dev.export()

    def test_more_nodes_change_the_group_in_place(self, dev: CloudStack, account: Account):
        account.journal.clear()
        dev.configure_path("nodes.max", "3")
        dev.up()
        assert {operation for operation, *_ in account.journal} == {"update"}
        (group,) = account.of_type(":Group")
        assert group.inputs["maxSize"] == 3
        assert ("update", "aws:autoscaling/group:Group", "speech-nodes", "us-west-2") in account.journal

    def test_rotated_keys_are_a_new_version_of_the_secret_and_touch_no_node(self, dev: CloudStack, account: Account):
        account.journal.clear()
        dev.configure_path("apiKeys.studio", ROTATED, secret=True)
        dev.up()
        assert {token for _, token, *_ in account.journal} == {"aws:secretsmanager/secretVersion:SecretVersion"}
        (version,) = account.of_type(":SecretVersion")
        assert ROTATED in version.inputs["secretStringWo"]
        assert ROTATED not in dev.export()

    def test_another_image_rolls_the_fleet(self, dev: CloudStack, account: Account):
        (dev.project / "inference" / "speech_server" / "changed.py").write_text("# another image\n")
        before, template = dev.outputs()["image"], account.of_type(":LaunchTemplate")[0].outputs["latestVersion"]
        account.journal.clear()
        dev.up()
        assert dev.outputs()["image"] != before
        assert "@sha256:" in dev.outputs()["image"]
        assert {operation for operation, *_ in account.journal} == {"update"}
        (group,) = account.of_type(":Group")
        assert account.of_type(":LaunchTemplate")[0].outputs["latestVersion"] == template + 1
        policy = group.inputs["mixedInstancesPolicy"]["launchTemplate"]["launchTemplateSpecification"]
        assert policy["version"] == str(int(template + 1))

    def test_another_region_is_made_whole_before_the_old_one_goes(self, dev: CloudStack, account: Account):
        account.journal.clear()
        account.refusals.clear()
        dev.configure_path("region", "eu-west-1")
        dev.up()
        assert account.refusals == []
        assert {one.region for one in account.living} == {"eu-west-1", GLOBAL}
        last_made = max(
            at for at, (done, *_, place) in enumerate(account.journal) if (done, place) == ("create", "eu-west-1")
        )
        for ending in (":Group", ":LoadBalancer", ":Listener", ":NatGateway", ":Bucket", ":Queue"):
            if any(token.endswith(ending) and place == "us-west-2" for _, token, _, place in account.journal):
                assert moment(account, "delete", ending, "us-west-2") > last_made, ending
        dev.preview("--expect-no-changes")

    def test_destroy_leaves_nothing(self, dev: CloudStack, account: Account):
        account.refusals.clear()
        dev.destroy()
        assert account.refusals == []
        assert account.living == []


class TestAccountFacts:
    """What the account cannot carry stops a preview; what it will not say is a warning."""

    def test_a_quota_that_is_too_low(self, dev: CloudStack, account: Account):
        account.quotas = dict.fromkeys(QUOTA_CODES, 0.0)
        shown = dev.preview(check=False)
        account.quotas = {}
        assert "indextts2:nodes.max" in shown
        assert "L-3819A6DF" in shown
        assert account.living == []

    def test_a_question_that_is_denied(self, dev: CloudStack, account: Account):
        account.denied = {"aws:servicequotas/getServiceQuota:getServiceQuota"}
        shown = dev.preview()
        account.denied = set()
        assert "is not known" in shown
        assert "AccessDenied" in shown

    def test_a_type_that_is_not_sold_where_the_stack_is(self, dev: CloudStack):
        dev.configure_path("instanceTypes[0]", "g6e.xlarge")
        shown = dev.preview(check=False)
        dev.configure_path("instanceTypes[0]", "g4dn.xlarge")
        assert "g6e.xlarge" in shown
        assert "indextts2:" in shown
        assert "cannot be used" in shown

    def test_another_account_than_the_one_that_is_named(self, dev: CloudStack, account: Account):
        dev.configure_path("accountId", "999999999999")
        shown = dev.preview(check=False)
        assert "999999999999" in shown
        assert "accountId" in shown
        assert account.living == []


class TestMending:
    """A creation that fails half-way, mended by nothing but the next `up`."""

    def test_what_failed_is_made_by_the_next_up(self, dev: CloudStack, account: Account):
        account.fail_once("create", "lb/loadBalancer:LoadBalancer", "the access log cannot be written yet")
        account.fail_once("create", "lb/targetGroup:TargetGroup", "throttled")
        shown = dev.up(check=False)
        assert "the access log cannot be written yet" in shown or "throttled" in shown
        assert account.of_type(":Vpc")
        assert not account.of_type(":Listener")
        for _ in range(2):
            if not account.of_type(":Listener"):
                dev.up(check=False)
        dev.up()
        dev.preview("--expect-no-changes")
        assert account.failures == []

    def test_a_group_that_is_there_and_not_ready_is_kept_and_finished(self, dev: CloudStack, account: Account):
        (group,) = account.of_type(":Group")
        account.fail_once("update", "autoscaling/group:Group", "waiting for capacity: timed out", half_made=True)
        dev.configure_path("nodes.max", "2")
        assert "waiting for capacity: timed out" in dev.up(check=False)
        dev.up()
        assert [one.identity for one in account.of_type(":Group")] == [group.identity]
        dev.preview("--expect-no-changes")

    def test_a_deletion_that_fails_is_finished_by_the_next_destroy(self, dev: CloudStack, account: Account):
        account.fail_once("delete", "ec2/vpc:Vpc", "DependencyViolation: a network interface is still there")
        assert "a network interface is still there" in dev.destroy(check=False)
        dev.destroy()
        assert account.living == []


class TestProd:
    def test_it_comes_up_whole_with_tls(self, prod: CloudStack, account: Account):
        prod.up()
        assert account.refusals == []
        assert set(prod.outputs()) == OUTPUTS
        assert prod.outputs()["url"].startswith("https://")
        prod.preview("--expect-no-changes")

    def test_it_refuses_to_be_destroyed(self, prod: CloudStack, account: Account):
        account.journal.clear()
        there = len(account.living)
        shown = prod.destroy(check=False)
        assert "protected" in shown
        assert len(account.living) == there
        assert account.journal == []

    def test_it_refuses_to_be_moved_away(self, prod: CloudStack, account: Account):
        prod.configure_path("region", "eu-west-1")
        shown = prod.preview(check=False)
        prod.configure_path("region", "us-west-2")
        assert "marked for protection" in shown

    def test_without_protection_it_can_be_destroyed(self, prod: CloudStack, account: Account):
        prod.configure_path("protect", "false")
        prod.up()
        prod.destroy()
        assert account.living == []
        assert account.refusals == []
