"""The stand-in provider itself, by the real engine: that it refuses what it says it refuses.

Needs an engine because a stand-in that the engine does not obey proves nothing.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.cloud_stack import CloudStack
from tests.engine.standin.account import Account, RefusedError
from tests.engine.standin.plugins import serving
from tests.sdk_schema import resource_schema

pytestmark = pytest.mark.engine

# Each test runs its own end of this program; names are made up where none is given.
HEAD = """
import json
import pulumi
import pulumi_aws as aws

west = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-west-2"))
vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", opts=west)
"""


# The same for Alibaba Cloud, whose resources have no region of their own.
ALICLOUD_HEAD = """
import pulumi
import pulumi_alicloud as alicloud

region = "{region}"
here = pulumi.ResourceOptions(provider=alicloud.Provider("{provider}", region=region){trigger})
vpc = alicloud.vpc.Network("net", vpc_name="net", cidr_block="10.0.0.0/16", opts=here)
"""


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def stack(account: Account) -> Iterator[CloudStack]:
    assert shutil.which("pulumi"), "the Pulumi CLI is not on PATH; run `make test`, or `. tools/activate` first"
    directory = Path(tempfile.mkdtemp(prefix="indextts2-standin-"))
    with serving(account, directory, ("aws", "alicloud")) as binaries:
        yield CloudStack(
            directory, binaries, program={"Pulumi.yaml": "name: indextts2\nruntime: python\n", "__main__.py": HEAD}
        )
    shutil.rmtree(directory)


def write(stack: CloudStack, end: str, head: str = HEAD) -> None:
    (stack.project / "__main__.py").write_text(head + end)


def alicloud_head(region: str = "cn-hangzhou", provider: str = "alicloud", *, trigger: bool = False) -> str:
    """`trigger`: the resources under the provider are made anew in another region."""
    asked = ", replacement_trigger=region" if trigger else ""
    return ALICLOUD_HEAD.format(region=region, provider=provider, trigger=asked)


class TestRefusals:
    def test_what_the_sdk_does_not_know_stops_a_preview(self, stack: CloudStack, account: Account):
        loose = """
class Loose(pulumi.CustomResource):
    def __init__(self, kind, name, props):
        super().__init__(kind, name, props, west)

Loose({})
"""
        for arguments, problem in [
            ('"aws:sqs/queue:Cue", "a", {}', "pulumi_aws has no resource aws:sqs/queue:Cue"),
            (
                '"aws:autoscaling/group:Group", "b", {"maxSize": 1, "minSize": 0, "launchTemplate": {"ID": "lt-1"}}',
                "[stand-in] aws:autoscaling/group:Group: there is no property launchTemplate.ID",
            ),
        ]:
            write(stack, loose.replace("Loose({})", f"Loose({arguments})"))
            assert problem in stack.preview(check=False)
        assert account.living == []

    def test_what_is_not_there_what_is_there_twice_and_names_that_are_too_long(
        self, stack: CloudStack, account: Account
    ):
        write(
            stack,
            """
aws.ec2.Subnet("lost", vpc_id="vpc-0123456789abcdef0", cidr_block="10.0.1.0/24", opts=west)
for name in "one", "two":
    aws.sqs.Queue(name, name="jobs", opts=west)
""",
        )
        shown = stack.up("--continue-on-error", check=False)
        assert "refers to vpc-0123456789abcdef0, which is not in us-west-2" in shown
        assert "there is already a aws:sqs/queue:Queue with ('jobs',)" in shown
        assert len(account.of_type(":Queue")) == 1
        write(stack, 'aws.lb.TargetGroup("a-name-of-twenty-five-char", opts=west)\n')
        assert "is longer than 32" in stack.preview(check=False)

    def test_a_function_without_an_answer_or_with_a_wrong_argument(self, stack: CloudStack):
        call = "pulumi.runtime.invoke({}, pulumi.InvokeOptions(provider=west.provider))\n"
        write(stack, call.format('"aws:s3/getBucket:getBucket", {"bucket": "b"}'))
        assert "the stand-in has no answer for aws:s3/getBucket:getBucket" in stack.preview(check=False)
        write(stack, call.format('"aws:ec2/getAmi:getAmi", {"owner": "me"}'))
        assert "there is no property owner" in stack.preview(check=False)

    def test_an_account_that_is_not_allowed(self, stack: CloudStack, account: Account):
        account.number = "999999999999"
        write(
            stack,
            """
other = aws.Provider("other", region="us-west-2", allowed_account_ids=["123456789012"])
aws.sqs.Queue("q", opts=pulumi.ResourceOptions(provider=other))
""",
        )
        assert "AWS account ID not allowed: 999999999999" in stack.preview(check=False)


class TestDeletions:
    """Of the account alone: the engine's own order would never ask for these."""

    def make(self, account: Account, token: str, logical: str, **inputs: object) -> str:
        return account.create(resource_schema(token), logical, dict(inputs), "us-west-2", {})[0]

    def test_what_is_still_used_stays(self, account: Account):
        vpc = self.make(account, "aws:ec2/vpc:Vpc", "net", cidrBlock="10.0.0.0/16")
        subnet = self.make(account, "aws:ec2/subnet:Subnet", "one", vpcId=vpc, cidrBlock="10.0.0.0/24")
        with pytest.raises(RefusedError, match="is still used by one"):
            account.delete("aws:ec2/vpc:Vpc", vpc, "us-west-2")
        account.delete("aws:ec2/subnet:Subnet", subnet, "us-west-2")
        account.delete("aws:ec2/vpc:Vpc", vpc, "us-west-2")
        assert account.living == []

    def test_a_protected_load_balancer_stays(self, account: Account):
        front = self.make(account, "aws:lb/loadBalancer:LoadBalancer", "front", enableDeletionProtection=True)
        with pytest.raises(RefusedError, match="deletion protection is on"):
            account.delete("aws:lb/loadBalancer:LoadBalancer", front, "us-west-2")

    @pytest.mark.parametrize("force", [False, True])
    def test_a_bucket_with_objects_stays_unless_it_was_told_otherwise(self, account: Account, force: bool):
        bucket = self.make(account, "aws:s3/bucket:Bucket", "store", bucket="store-1", forceDestroy=force)
        account.objects[bucket] = 1
        if force:
            account.delete("aws:s3/bucket:Bucket", bucket, "us-west-2")
            return
        with pytest.raises(RefusedError, match="is not empty"):
            account.delete("aws:s3/bucket:Bucket", bucket, "us-west-2")

    def test_what_is_of_another_region_is_not_found(self, account: Account):
        queue = self.make(account, "aws:sqs/queue:Queue", "jobs", name="jobs-1")
        with pytest.raises(RefusedError, match="there is no aws:sqs/queue:Queue"):
            account.delete("aws:sqs/queue:Queue", queue, "eu-west-1")


class TestPlans:
    def test_a_region_that_only_the_provider_says_moves_nothing_that_is_there(self, stack: CloudStack):
        stack.up()
        moved = HEAD.replace("us-west-2", "eu-west-1")
        (stack.project / "__main__.py").write_text(moved)
        assert stack.plan() == [("update", "pulumi:providers:aws", "aws")]
        (stack.project / "__main__.py").write_text(moved.replace("cidr_block=", 'region="eu-west-1", cidr_block='))
        assert ("replace", "aws:ec2/vpc:Vpc", "net") in stack.plan()

    def test_a_fixed_name_is_deleted_before_it_is_made_again_and_a_made_up_one_after(
        self, stack: CloudStack, account: Account
    ):
        queues = """
aws.sqs.Queue("fixed", name="jobs", fifo_queue={fifo}, opts=west)
aws.sqs.Queue("free", fifo_queue={fifo}, opts=west)
"""
        write(stack, queues.format(fifo=False))
        stack.up()
        account.journal.clear()
        write(stack, queues.format(fifo=True))
        stack.up()
        done = [(operation, name) for operation, _, name, _ in account.journal]
        assert done.index(("delete", "fixed")) < done.index(("create", "fixed"))
        assert done.index(("delete", "free")) > done.index(("create", "free"))

    def test_an_ordered_failure_comes_once_and_what_is_half_made_is_kept(self, stack: CloudStack, account: Account):
        write(stack, 'aws.sqs.Queue("jobs", opts=west)\n')
        account.fail_once("create", "jobs", "the queue is there and not ready", half_made=True)
        assert "the queue is there and not ready" in stack.up(check=False)
        assert len(account.of_type(":Queue")) == 1
        stack.up()
        assert len(account.of_type(":Queue")) == 1
        stack.preview("--expect-no-changes")

    def test_a_write_only_secret_is_in_no_output_and_changes_with_its_version_alone(self, stack: CloudStack):
        secret = """
keys = aws.secretsmanager.Secret("keys", opts=west)
aws.secretsmanager.SecretVersion(
    "keys",
    secret_id=keys.id,
    secret_string_wo=pulumi.Output.secret("{text}"),
    secret_string_wo_version={version},
    opts=west,
)
"""
        write(stack, secret.format(text="open sesame", version=1))
        stack.up()
        assert "open sesame" not in stack.export()
        write(stack, secret.format(text="open barley", version=1))
        assert stack.plan() == []
        write(stack, secret.format(text="open barley", version=2))
        assert stack.plan() == [("replace", "aws:secretsmanager/secretVersion:SecretVersion", "keys")]


class TestAlicloud:
    """What Alibaba Cloud's provider does otherwise: no region in a resource, values checked, few names made up."""

    def test_what_the_provider_itself_refuses_stops_a_preview(self, stack: CloudStack, account: Account):
        for resource, problem in [
            ('ess.ScalingGroup("a", min_size=0, max_size=2001, opts=here)', "maxSize is 2001 and not between 0 and"),
            (
                'ess.ScalingGroup("a", min_size=0, max_size=1, multi_az_policy="ANY", opts=here)',
                "multiAzPolicy is none of",
            ),
            ('vpc.Network("a", name="a", cidr_block="10.1.0.0/16", opts=here)', "name is deprecated"),
        ]:
            write(stack, f"alicloud.{resource}\n", alicloud_head())
            assert problem in stack.preview(check=False)
        assert account.living == []

    def test_neither_another_region_nor_another_provider_alone_moves_what_is_there(self, stack: CloudStack):
        write(stack, "", alicloud_head())
        stack.up()
        for provider in ("alicloud", "elsewhere"):
            write(stack, "", alicloud_head("cn-shanghai", provider))
            assert ("vpc/network:Network", "net") not in {(token, name) for _, token, name in stack.plan()}

    def test_with_a_trigger_the_new_is_made_before_the_old_goes_and_each_where_it_is(
        self, stack: CloudStack, account: Account
    ):
        write(stack, "", alicloud_head(provider="cn-hangzhou", trigger=True))
        stack.up()
        account.journal.clear()
        write(stack, "", alicloud_head("cn-shanghai", "cn-shanghai", trigger=True))
        stack.up()
        assert [(operation, place) for operation, *_, place in account.journal] == [
            ("create", "cn-shanghai"),
            ("delete", "cn-hangzhou"),
        ]
        assert account.refusals == []
        stack.preview("--expect-no-changes")

    def test_under_one_name_of_the_provider_the_old_would_be_looked_for_in_the_new_region(
        self, stack: CloudStack, account: Account
    ):
        write(stack, "", alicloud_head(trigger=True))
        stack.up()
        write(stack, "", alicloud_head("cn-shanghai", trigger=True))
        assert "there is no alicloud:vpc/network:Network" in stack.up(check=False)
        assert "cn-hangzhou" in {one.region for one in account.living}

    def test_what_the_provider_reads_back_and_the_program_leaves_out_is_a_change_unless_ignored(
        self, stack: CloudStack
    ):
        parameter = """
alicloud.oos.SecretParameter(
    "keys", secret_parameter_name="keys", value="open", opts=pulumi.ResourceOptions.merge(here, {ignoring})
)
"""
        write(stack, parameter.format(ignoring="None"), alicloud_head())
        stack.up()
        assert stack.plan() == [("replace", "alicloud:oos/secretParameter:SecretParameter", "keys")]
        ignoring = 'pulumi.ResourceOptions(ignore_changes=["keyId"])'
        write(stack, parameter.format(ignoring=ignoring), alicloud_head())
        assert stack.plan() == []
