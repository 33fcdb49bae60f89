"""The policy pack under the real engine: what it stops, and that it stops nothing of the checkout's own stacks.

Needs an engine because what the engine hands to a pack (unknown values, where a value comes from) is what the rules
are about. The resources are the stand-in's; no cloud is asked.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rules import RESOURCE_RULES, STACK_RULES
from tests.engine.cloud_stack import DEV, PROD, PROD_CN, ROOT, CloudStack, StackFile, account_of
from tests.engine.stack import LocalStack
from tests.engine.standin.account import Account
from tests.engine.standin.plugins import serving
from tools.checkout import Checkout
from tools.policy_pack import Pack, prepare, without_language_host

pytestmark = pytest.mark.engine

# Breaks every rule for a production stack, and with it those for the others.
VIOLATIONS = """
import json
import pulumi
import pulumi_aws as aws

west = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-west-2"))
anybody = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]})
everything = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})

bucket = aws.s3.Bucket("open", opts=west)
aws.s3.BucketPolicy("open", bucket=bucket.bucket, policy=anybody, opts=west)
half = aws.s3.Bucket("half", opts=west)
aws.s3.BucketPublicAccessBlock("half", bucket=half.bucket, block_public_acls=True, opts=west)

vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", opts=west)
group = aws.ec2.SecurityGroup("nodes", vpc_id=vpc.id, opts=west)
aws.vpc.SecurityGroupIngressRule("ssh", security_group_id=group.id, ip_protocol="tcp", from_port=22, to_port=22,
    cidr_ipv4="0.0.0.0/0", opts=west)
role = aws.iam.Role("node", assume_role_policy=json.dumps({"Statement": []}), opts=west)
aws.iam.RolePolicy("node", role=role.id, policy=everything, opts=west)

subnets = [aws.ec2.Subnet(f"s{n}", vpc_id=vpc.id, cidr_block=f"10.0.{n}.0/24", opts=west) for n in (1, 2)]
balancer = aws.lb.LoadBalancer("balancer", subnets=[one.id for one in subnets], security_groups=[group.id], opts=west)
nodes = aws.lb.TargetGroup("nodes", port=8000, protocol="HTTP", vpc_id=vpc.id, opts=west)
forward = {"type": "forward", "target_group_arn": nodes.arn}
listener = aws.lb.Listener("http", load_balancer_arn=balancer.arn, port=80, protocol="HTTP",
    default_actions=[aws.lb.ListenerDefaultActionArgs(**forward)], opts=west)
aws.lb.ListenerRule("past", listener_arn=listener.arn, priority=1,
    conditions=[aws.lb.ListenerRuleConditionArgs(
        path_pattern=aws.lb.ListenerRuleConditionPathPatternArgs(values=["/*"]))],
    actions=[aws.lb.ListenerRuleActionArgs(**forward)], opts=west)

template = aws.ec2.LaunchTemplate("node", image_id="ami-0123456789abcdef0", instance_type="g4dn.xlarge",
    block_device_mappings=[aws.ec2.LaunchTemplateBlockDeviceMappingArgs(device_name="/dev/sda1",
        ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(volume_size=100))], opts=west)
aws.autoscaling.Group("nodes", min_size=1, max_size=2, vpc_zone_identifiers=[one.id for one in subnets],
    launch_template=aws.autoscaling.GroupLaunchTemplateArgs(id=template.id, version="1"), opts=west)
"""
ONLY_OUTSIDE_PRODUCTION = {"gpu-without-end"}
ONLY_IN_PRODUCTION = {"no-tls", "forward-without-tls", "no-budget"}
ALL = {rule.name for rule in (*RESOURCE_RULES, *STACK_RULES)}


@pytest.fixture(scope="module")
def pack() -> Pack:
    program = shutil.which("pulumi")
    assert program, "the Pulumi CLI is not on PATH; run `make test`, or `. tools/activate` first"
    return prepare(Checkout(ROOT), Path(program).parent)


def cloud_stack(
    name: str, program: str = "", account: Account | None = None, file: StackFile = DEV
) -> Iterator[CloudStack]:
    directory = Path(tempfile.mkdtemp(prefix="indextts2-policy-"))
    files = {"Pulumi.yaml": "name: indextts2\nruntime: python\n", "__main__.py": program} if program else {}
    with serving(account or account_of(file), directory, (file.package, "docker")) as binaries:
        yield CloudStack(directory, binaries, name=name, program=files)
    shutil.rmtree(directory)


@pytest.fixture
def prod() -> Iterator[CloudStack]:
    yield from cloud_stack("prod", VIOLATIONS)


@pytest.fixture
def dev() -> Iterator[CloudStack]:
    yield from cloud_stack("dev", VIOLATIONS)


def preview(stack: CloudStack | LocalStack, pack: Pack) -> tuple[int, str]:
    stack.environment = pack.environment(stack.environment)
    done = stack.pulumi("preview", "--stack", stack.name, "--policy-pack", str(pack.directory), check=False)
    return done.returncode, done.stdout


def start_at(source: Path, pack: Pack, directory: Path) -> Pack:
    """A copy of the pack, started in the same way as `pack`."""
    return Pack(source, None) if pack.path is None else without_language_host(source, directory / "started")


def violated(text: str) -> set[str]:
    return set(re.findall(r"\[mandatory\]\s+(?:indextts2@v[\d.]+\s+)?([a-z0-9-]+)", text))


class TestViolations:
    def test_production_is_stopped_by_every_rule_for_it(self, prod: CloudStack, pack: Pack):
        status, text = preview(prod, pack)
        assert status, text
        assert violated(text) == ALL - ONLY_OUTSIDE_PRODUCTION, text

    def test_another_stack_is_stopped_by_every_rule_for_it(self, dev: CloudStack, pack: Pack):
        status, text = preview(dev, pack)
        assert status, text
        assert violated(text) == ALL - ONLY_IN_PRODUCTION, text

    def test_what_only_the_update_knows_is_stopped_before_it_is_made(self, pack: Pack):
        program = """
import json
import pulumi
import pulumi_aws as aws

west = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-west-2"))
queue = aws.sqs.Queue("jobs", opts=west)
aws.sqs.QueuePolicy("jobs", queue_url=queue.url, policy=queue.arn.apply(lambda arn: json.dumps(
    {"Statement": {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": "sqs:*", "Resource": arn}})), opts=west)
"""
        account = Account()
        for stack in cloud_stack("dev", program, account):
            assert preview(stack, pack)[0] == 0
            text = stack.up("--policy-pack", str(pack.directory), check=False)
            assert violated(text) == {"public-policy"}, text
            assert "allows anybody sqs:*" in text
            assert [one.token for one in account.living] == ["aws:sqs/queue:Queue"]


class TestTheCheckoutsOwnStacks:
    @pytest.mark.parametrize(("name", "file"), [("dev", DEV), ("prod", PROD), ("prod-cn", PROD_CN)])
    def test_a_cloud_stack_breaks_no_rule_when_planned_and_when_made(self, name: str, file: StackFile, pack: Pack):
        for stack in cloud_stack(name, file=file):
            stack.use(file)
            status, text = preview(stack, pack)
            assert status == 0, text
            done = stack.up("--policy-pack", str(pack.directory))
            assert "Policies:" in done
            assert not violated(done)

    def test_the_local_stack_breaks_no_rule(self, fresh: LocalStack, pack: Pack):
        status, text = preview(fresh, pack)
        assert status == 0, text
        assert "Policies:" in text

    @pytest.mark.parametrize(
        ("settings", "rule"),
        [
            ({"alarms.monthlyBudgetUsd": "0"}, "no-budget"),
            ({"access.domain": "", "access.hostedZone": "", "access.allowedCidrs[0]": "203.0.113.0/24"}, "no-tls"),
        ],
    )
    def test_production_settings_that_the_program_itself_takes_are_stopped(
        self, settings: dict[str, str], rule: str, pack: Pack
    ):
        for stack in cloud_stack("prod"):
            stack.use(PROD)
            for key, value in settings.items():
                stack.configure_path(key, value)
            status, text = preview(stack, pack)
            assert status
            assert rule in violated(text), text

    def test_a_gpu_that_never_sleeps_is_stopped_outside_production(self, pack: Pack):
        for stack in cloud_stack("dev"):
            stack.use(DEV)
            for key in ("up", "down"):
                stack.configure_path(f"schedule.{key}", "")
            status, text = preview(stack, pack)
            assert status
            assert violated(text) == {"gpu-without-end"}, text


class TestAPackThatCannotRun:
    def test_a_rule_that_fails_stops_the_preview(self, prod: CloudStack, pack: Pack, tmp_path: Path):
        broken = tmp_path / "pack"
        shutil.copytree(ROOT / "policy", broken, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
        (broken / ".venv").symlink_to(ROOT / "policy" / ".venv")
        with (broken / "rules" / "disks.py").open("a") as file:
            file.write("\n\ndef _is_off(value):\n    raise RuntimeError('a rule with a mistake')\n")
        status, text = preview(prod, start_at(broken, pack, tmp_path))
        assert status
        assert "a rule with a mistake" in text

    def test_an_environment_that_is_gone_stops_the_preview(self, prod: CloudStack, pack: Pack, tmp_path: Path):
        copy = tmp_path / "pack"
        shutil.copytree(ROOT / "policy", copy, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
        status, text = preview(prod, start_at(copy, pack, tmp_path))
        assert status
        assert "error" in text
