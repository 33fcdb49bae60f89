"""The comment under a pull request, from real previews of the checkout's own stacks.

Needs an engine because what is tested is how its words are read. The resources are the stand-in's; no cloud is asked.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.prices.rendering import comparison
from tests.engine.cloud_stack import DEV, KEY, PROD, PROD_CN, ROOT, CloudStack, stack_of
from tests.engine.stack import LocalStack
from tools.checkout import Checkout
from tools.plan.events import Plan, read_plan
from tools.plan.markdown import render
from tools.plan.preview import judged
from tools.policy_pack import Pack, prepare

pytestmark = pytest.mark.engine
COMMIT = "0123456789abcdef"
ROTATED = "the-key-that-came-after-it-and-is-long-0123456789"


@pytest.fixture(scope="module")
def pack() -> Pack:
    program = shutil.which("pulumi")
    assert program, "the Pulumi CLI is not on PATH; run `make test`, or `. tools/activate` first"
    return prepare(Checkout(ROOT), Path(program).parent)


@pytest.fixture(scope="class")
def dev() -> Iterator[CloudStack]:
    yield from stack_of(DEV, name="dev")


@pytest.fixture(scope="class")
def prod() -> Iterator[CloudStack]:
    yield from stack_of(PROD, name="prod")


@pytest.fixture(scope="class")
def prod_cn() -> Iterator[CloudStack]:
    yield from stack_of(PROD_CN, name="prod-cn")


def plan_of(stack: CloudStack | LocalStack, pack: Pack) -> Plan:
    done = subprocess.run(
        [
            "pulumi",
            "preview",
            "--json",
            "--non-interactive",
            "--policy-pack",
            str(pack.directory),
            "--stack",
            stack.name,
        ],
        cwd=stack.project,
        env={**pack.environment(stack.environment), "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    return judged(read_plan(stack.name, done.stdout.splitlines()), done.returncode, done.stderr)


def comment(plan: Plan) -> str:
    return render(plan, COMMIT, comparison(plan.outputs_before.get("price"), plan.outputs_after.get("price")))


class TestDev:
    def test_a_new_stack(self, dev: CloudStack, pack: Pack):
        plan = plan_of(dev, pack)
        assert not plan.failed, plan.errors
        assert {change.operation for change in plan.changes} == {"create"}
        text = comment(plan)
        assert text.startswith("<!-- indextts2-plan:dev -->\n### <code>dev</code>: ")
        assert "Replaced or deleted" not in text
        assert f"New ({len(plan.changes)})" in text
        assert "the policy pack was asked" in text
        assert "| an hour, fewest nodes | - | **0.2504 USD** |" in text
        assert KEY not in text

    def test_what_changes_in_place_shows_its_values_and_no_key(self, dev: CloudStack, pack: Pack):
        dev.up()
        dev.configure_path("nodes.max", "3")
        dev.configure_path("apiKeys.studio", ROTATED, secret=True)
        plan = plan_of(dev, pack)
        assert not plan.failed, plan.errors
        (group,) = [change for change in plan.of("update") if change.type == "aws:autoscaling/group:Group"]
        assert [(one.path, one.before, one.after) for one in group.values] == [("maxSize", "1", "3")]
        (replaced,) = plan.of("replace")
        assert replaced.because == ("secretStringWoVersion",)
        assert [(one.before, one.after) for one in replaced.values] == [("a secret", "a secret")]
        text = comment(plan)
        assert "<code>maxSize</code>: <code>1</code> → <code>3</code>" in text
        assert "| an hour, most nodes | 0.2504 USD | **0.7062 USD** |" in text
        assert ROTATED not in text
        assert KEY not in text

    def test_replaced_and_deleted_come_first(self, dev: CloudStack, pack: Pack):
        dev.configure_path("region", "eu-west-1")
        for key in ("up", "down"):
            dev.configure_path(f"schedule.{key}", "")
        dev.configure_path("nodes.min", "0")
        plan = plan_of(dev, pack)
        assert not plan.failed, plan.errors
        text = comment(plan)
        headline = text.splitlines()[1]
        assert "**" in headline
        assert "replaced**" in headline
        assert "deleted**" in headline
        first = text.index("#### Replaced or deleted")
        assert first < text.index("| **deleted** |") < text.index("| **replaced** |")
        assert text.index("| **replaced** |") < text.index("Changed in place (") < text.index("#### Price")
        assert text.rindex("| **deleted** |") < text.index("| **replaced** |")
        assert "Unknown: load balancer hour in eu-west-1" in text

    def test_a_broken_rule_is_named_and_fails_the_plan(self, dev: CloudStack, pack: Pack):
        dev.configure_path("region", "us-west-2")
        dev.configure_path("nodes.min", "1")
        plan = plan_of(dev, pack)
        assert plan.failed
        assert [one.rule for one in plan.violations] == ["gpu-without-end"]
        text = comment(plan)
        assert "Rules are broken; this cannot be deployed" in text
        assert text.index("gpu-without-end") < text.index("#### Replaced")

    def test_settings_that_cannot_be_say_why(self, dev: CloudStack, pack: Pack):
        dev.configure_path("nodes.max", "many")
        plan = plan_of(dev, pack)
        assert plan.failed
        text = comment(plan)
        assert "**the preview failed**" in text
        assert "The stack's settings cannot be used." in text
        assert "many" in text


class TestProd:
    def test_a_new_stack(self, prod: CloudStack, pack: Pack):
        plan = plan_of(prod, pack)
        assert not plan.failed, plan.errors
        text = comment(plan)
        assert text.startswith("<!-- indextts2-plan:prod -->\n")
        assert "g5.xlarge in us-west-2" in text
        assert KEY not in text


class TestProdCn:
    def test_a_new_stack(self, prod_cn: CloudStack, pack: Pack):
        plan = plan_of(prod_cn, pack)
        assert not plan.failed, plan.errors
        text = comment(plan)
        assert text.startswith("<!-- indextts2-plan:prod-cn -->\n")
        assert "in cn-hangzhou" in text
        assert "CNY" in text
        assert KEY not in text


class TestLocal:
    def test_a_new_stack_has_no_price(self, fresh: LocalStack, pack: Pack):
        plan = plan_of(fresh, pack)
        assert not plan.failed, plan.errors
        text = comment(plan)
        assert "#### Price" not in text
        assert "New (" in text


class TestNoPreview:
    @pytest.mark.parametrize(
        ("stack", "changes", "what"),
        [
            ("nosuch", {}, "There is no such stack"),
            ("dev", {"PULUMI_CONFIG_PASSPHRASE": "another"}, "secrets cannot be opened"),
        ],
    )
    def test_it_says_what_it_is(self, stack: str, changes: dict[str, str], what: str, dev: CloudStack, pack: Pack):
        before = dev.name, dev.environment
        dev.name, dev.environment = stack, {**dev.environment, **changes}
        try:
            plan = plan_of(dev, pack)
        finally:
            dev.name, dev.environment = before
        assert plan.failed
        assert what in comment(plan)

    def test_a_preview_without_a_pack_is_no_approval(self, dev: CloudStack):
        done = subprocess.run(
            ["pulumi", "preview", "--json", "--non-interactive", "--stack", dev.name],
            cwd=dev.project,
            env={**dev.environment, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        plan = judged(read_plan(dev.name, done.stdout.splitlines()), done.returncode, done.stderr)
        assert plan.errors == ("the policy pack was not asked",)
        assert plan.failed
