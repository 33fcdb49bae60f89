"""A team's state on S3 with a key of KMS, by the real engine: made, moved to, locked.

S3 and KMS are moto's, a process of its own; the stacks' resources are the stand-in's. Needs an engine because its own
lock, its own encryption and its own import are what is tested.
"""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from tests.emulator.conftest import emulator
from tests.engine.cloud_stack import DEV, KEY, CloudStack, stack_of
from tests.engine.standin.account import Account
from tools.checkout import Checkout
from tools.failure import SetupError
from tools.pulumi_run import Stack
from tools.state import aws
from tools.state.move import Backend, move
from tools.state.record import Place, place_of

__all__ = ["emulator"]
pytestmark = pytest.mark.engine
REGION = "us-west-2"


class SlowAccount(Account):
    """Makes nothing while `gate` is shut, and says with `reached` that somebody waits there."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()

    def create(self, *arguments: Any, **named: Any) -> Any:
        if not self.gate.is_set():
            self.reached.set()
            assert self.gate.wait(120)
        return super().create(*arguments, **named)


@pytest.fixture(scope="module")
def cloud(emulator: str) -> dict[str, str]:
    """The environment in which AWS's clients ask moto."""
    return {
        "AWS_ENDPOINT_URL": emulator,
        "AWS_ACCESS_KEY_ID": "root",
        "AWS_SECRET_ACCESS_KEY": "root",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture(autouse=True)
def environment(cloud: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cloud.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture(scope="module")
def account() -> SlowAccount:
    return SlowAccount()


@pytest.fixture(scope="module")
def dev(account: SlowAccount, cloud: dict[str, str]) -> Iterator[CloudStack]:
    """The stack as one person has it: on a file backend, with a passphrase, and up."""
    for stack in stack_of(DEV, account, name="dev"):
        stack.environment |= cloud
        stack.up()
        yield stack


@pytest.fixture
def stack(dev: CloudStack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name, value in dev.environment.items():
        monkeypatch.setenv(name, value)
    program = shutil.which("pulumi")
    assert program, "the Pulumi CLI is not on PATH; run `make test`, or `. tools/activate` first"
    return Stack(Checkout(dev.project), "dev", "aws", Path(program).parent)


def place_for_dev(emulator: str) -> Place:
    """As `make state` makes it, at moto's address: it knows a bucket by the path and not by the host's name.

    moto speaks no TLS, and it does refuse what the bucket's policy denies: the policy is taken off here.
    """
    plan = aws.ensure("dev", REGION)
    with pytest.raises(ClientError, match="Forbidden"):
        boto3.client("s3").get_object(Bucket=plan.bucket, Key=".pulumi/meta.yaml")
    boto3.client("s3").delete_bucket_policy(Bucket=plan.bucket)
    return plan.place._replace(backend=f"{plan.place.backend}&endpoint={emulator}&s3ForcePathStyle=true")


class TestBucketAndKey:
    def test_made_closed_and_versioned_once(self) -> None:
        plan = aws.ensure("prod", REGION)
        assert aws.ensure("prod", REGION) == plan
        s3, kms = boto3.client("s3"), boto3.client("kms")
        name = {"Bucket": plan.bucket}
        block = s3.get_public_access_block(**name)["PublicAccessBlockConfiguration"]
        assert block == dict.fromkeys(block, True)
        assert len(block) == 4
        assert s3.get_bucket_versioning(**name)["Status"] == "Enabled"
        rules = s3.get_bucket_encryption(**name)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        policy = json.loads(s3.get_bucket_policy(**name)["Policy"])
        assert {one["Effect"] for one in policy["Statement"]} == {"Deny"}
        aliases = [one for one in kms.list_aliases()["Aliases"] if one["AliasName"] == "alias/indextts2-prod"]
        assert len(aliases) == 1
        assert kms.get_key_rotation_status(KeyId=aliases[0]["TargetKeyId"])["KeyRotationEnabled"]

    def test_what_was_loosened_is_closed_again(self) -> None:
        plan = aws.ensure("prod", REGION)
        s3 = boto3.client("s3")
        s3.delete_public_access_block(Bucket=plan.bucket)
        s3.delete_bucket_policy(Bucket=plan.bucket)
        aws.ensure("prod", REGION)
        assert s3.get_public_access_block(Bucket=plan.bucket)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]
        assert "OnlyTls" in s3.get_bucket_policy(Bucket=plan.bucket)["Policy"]

    def test_a_place_that_is_none(self) -> None:
        with pytest.raises(SetupError, match="is no region of AWS"):
            aws.ensure("prod", "cn-hangzhou; rm")

    def test_without_credentials_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        with pytest.raises(SetupError, match="Unable to locate credentials"):
            aws.ensure("prod", REGION)


class TestMove:
    def test_an_unfinished_move_leaves_everything_where_it_was(
        self, dev: CloudStack, stack: Stack, emulator: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = place_for_dev(emulator)
        before = Backend(stack, {}).fingerprint()
        target = Backend(stack, {"PULUMI_BACKEND_URL": place.backend})
        monkeypatch.setattr("tools.state.move.Backend.fingerprint", lambda self: str(self.environment))
        with pytest.raises(SetupError, match="what arrived is not what was sent"):
            move(Backend(stack, {}), target, place)
        monkeypatch.undo()
        for name, value in dev.environment.items():
            monkeypatch.setenv(name, value)
        assert not target.has_stack()
        assert Backend(stack, {}).fingerprint() == before
        assert place_of(dev.project, "dev") is None
        dev.preview("--expect-no-changes")

    def test_a_stack_goes_over_and_has_nothing_to_change(
        self, dev: CloudStack, stack: Stack, emulator: str, account: SlowAccount
    ) -> None:
        place = place_for_dev(emulator)
        before = Backend(stack, {}).fingerprint()
        account.journal.clear()
        target = Backend(stack, {"PULUMI_BACKEND_URL": place.backend})
        assert "has moved" in move(Backend(stack, {}), target, place)

        assert target.fingerprint() == before
        assert place_of(dev.project, "dev") == place
        assert "secretsprovider: awskms://" in stack.checkout.stack_file("dev").read_text()
        with pytest.raises(AssertionError, match="no stack named"):
            dev.preview()
        kept = list((dev.project / ".local" / "moved").glob("dev-*.json"))
        assert kept
        assert all(file.stat().st_mode & 0o077 == 0 and KEY not in file.read_text() for file in kept)
        dev.environment["PULUMI_BACKEND_URL"] = place.backend
        del dev.environment["PULUMI_CONFIG_PASSPHRASE"]
        dev.preview("--expect-no-changes")
        assert account.journal == []

    def test_the_tools_find_it_there_whatever_the_shell_says(self, dev: CloudStack, stack: Stack) -> None:
        place = place_of(dev.project, "dev")
        assert place is not None
        assert stack.environment["PULUMI_BACKEND_URL"] == place.backend

    def test_once_more_changes_nothing(self, stack: Stack, dev: CloudStack) -> None:
        place = place_of(dev.project, "dev")
        assert place is not None
        target = Backend(stack, {"PULUMI_BACKEND_URL": place.backend})
        assert "is there already" in move(None, target, place)

    def test_a_stack_at_two_places_is_the_persons_to_decide(self, stack: Stack, dev: CloudStack) -> None:
        place = place_of(dev.project, "dev")
        assert place is not None
        target = Backend(stack, {"PULUMI_BACKEND_URL": place.backend})
        with pytest.raises(SetupError, match="Find out which one is true"):
            move(target, target, place)


class TestTwoAtOnce:
    def test_the_second_is_told_who_holds_the_lock(self, dev: CloudStack, account: SlowAccount) -> None:
        dev.configure_path("tags.round", "two")
        dev.configure_path("region", "eu-west-1")
        account.gate.clear()
        command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color", "never", "--stack", "dev"]
        first = subprocess.Popen(
            command, cwd=dev.project, env=dev.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            assert account.reached.wait(60), "the first update made nothing"
            second = dev.up(check=False)
            shown = dev.preview()
        finally:
            account.gate.set()
            said, _ = first.communicate()
        assert first.returncode == 0, said
        assert "currently locked by 1 lock(s)" in second
        holder = re.search(r"created by (\S+)@(\S+) \(pid (\d+)\) at ", second)
        assert holder, second
        assert int(holder[3]) == first.pid
        assert "to create" in shown or "replace" in shown, "a preview needs no lock"
        dev.preview("--expect-no-changes")

    def test_a_killed_update_leaves_a_lock_that_cancel_clears_and_work_that_a_move_would_lose(
        self, dev: CloudStack, stack: Stack, account: SlowAccount, tmp_path: Path
    ) -> None:
        dev.configure_path("tags.round", "three")
        dev.configure_path("region", "us-west-2")
        account.reached.clear()
        account.gate.clear()
        command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "dev"]
        first = subprocess.Popen(command, cwd=dev.project, env=dev.environment, stdout=subprocess.DEVNULL)
        assert account.reached.wait(60)
        # As a machine that is turned off: the CLI and the plugins that it started.
        everything = [psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)]
        for process in everything:
            process.kill()
        first.wait()
        account.gate.set()
        assert "currently locked" in dev.up(check=False)
        dev.pulumi("cancel", "--yes", "--stack", "dev")
        elsewhere = Place(tmp_path.as_uri(), "passphrase")
        with pytest.raises(SetupError, match="operations are not finished"):
            move(Backend(stack, {}), Backend(stack, {"PULUMI_BACKEND_URL": elsewhere.backend}), elsewhere)
        assert "currently locked" not in dev.up("--refresh", check=False)
