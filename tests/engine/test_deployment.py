"""The way back of a deployment that does not speak, by the real engine.

Needs an engine because only that tells what an update of the fleet alone leaves untouched.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.cloud_stack import DEV, CloudStack, stack_of
from tests.engine.standin.account import Account
from tools.checkout import Checkout
from tools.deployment.deploy import Proof, deploy
from tools.failure import SetupError
from tools.pulumi_run import Stack

pytestmark = pytest.mark.engine


@pytest.fixture(scope="class")
def account() -> Account:
    return Account()


@pytest.fixture(scope="class")
def dev(account: Account) -> Iterator[CloudStack]:
    yield from stack_of(DEV, account, name="dev")


@pytest.fixture
def stack(dev: CloudStack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name, value in dev.environment.items():
        monkeypatch.setenv(name, value)
    program = shutil.which("pulumi")
    assert program, "the Pulumi CLI is not on PATH; run `make test`, or `. tools/activate` first"
    return Stack(Checkout(dev.project), "dev", "aws", Path(program).parent)


def change_the_image(dev: CloudStack, text: str) -> None:
    (dev.project / "inference" / "speech_server" / "changed.py").write_text(text)


class TestDeploy:
    def test_a_first_one_that_does_not_speak_has_no_way_back(self, stack: Stack) -> None:
        with pytest.raises(SetupError, match="no image was deployed before it"):
            deploy(stack, Proof(lambda *_: None, lambda *_: "silence"))

    def test_one_that_speaks_stays(self, stack: Stack, dev: CloudStack) -> None:
        before = dev.outputs()["image"]
        change_the_image(dev, "# two\n")
        deploy(stack, Proof(lambda *_: None, lambda *_: None))
        assert dev.outputs()["image"] != before

    def test_one_that_does_not_speak_goes_back_and_leaves_the_rest(
        self, stack: Stack, dev: CloudStack, account: Account
    ) -> None:
        before, file = dev.outputs()["image"], stack.checkout.stack_file("dev").read_text()
        change_the_image(dev, "# three\n")
        account.journal.clear()
        answers = iter(("the engine does not start", None))
        with pytest.raises(SetupError, match="done, and it speaks") as failure:
            deploy(stack, Proof(lambda *_: None, lambda *_: next(answers)))
        assert before in str(failure.value)
        assert dev.outputs()["image"] == before
        assert "delete" not in {operation for operation, *_ in account.journal}
        assert len(account.of_type(":Repository")) == 1
        assert stack.checkout.stack_file("dev").read_text() == file

    def test_the_next_deployment_goes_forward_again(self, stack: Stack, dev: CloudStack) -> None:
        change_the_image(dev, "# four\n")
        before = dev.outputs()["image"]
        deploy(stack, Proof(lambda *_: None, lambda *_: None))
        assert dev.outputs()["image"] != before
        dev.preview("--expect-no-changes")

    def test_nodes_that_do_not_take_over_are_a_failure_too(self, stack: Stack, dev: CloudStack) -> None:
        change_the_image(dev, "# five\n")
        waits = iter(("RollbackSuccessful", "RollbackFailed"))
        with pytest.raises(SetupError, match="That image does not speak either: RollbackFailed") as failure:
            deploy(stack, Proof(lambda *_: next(waits), lambda *_: None))
        assert failure.value.status == 2
