"""A cloud stack of its own for a test: the real CLI and engine, the stand-in provider."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.engine.pulumi_stack import ROOT, PulumiStack
from tests.engine.standin.account import Account
from tests.engine.standin.plugins import serving
from tests.invented import ACCOUNT
from tests.invented_alicloud import ACCOUNT as ALICLOUD_ACCOUNT

KEY = "a-key-of-a-studio-that-is-long-enough-0123456789"
OUTPUTS = {
    "url", "healthUrl", "bucket", "queue", "apiKeysSecret", "image", "fleet", "region", "dashboardUrl", "price",
}  # fmt: skip
"""What a stack of every cloud gives."""
# Nothing of the person's own cloud account may reach the program.
WITHHELD = ("AWS_", "ALICLOUD_", "ALIBABA_CLOUD_")


@dataclass(frozen=True)
class StackFile:
    """A stack file of the checkout, its cloud's SDK, and settings that it leaves to whoever deploys it."""

    name: str
    package: str
    settings: Mapping[str, str]


DEV = StackFile("Pulumi.dev.yaml", "aws", {"access.allowedCidrs[0]": "203.0.113.0/24"})
PROD = StackFile(
    "Pulumi.prod.yaml",
    "aws",
    {
        "access.domain": "speech.example.com",
        "access.hostedZone": "example.com",
        "alarms.email": "operations@example.com",
        "alarms.monthlyBudgetUsd": "2000",
        "accountId": ACCOUNT,
    },
)
PROD_CN = StackFile(
    "Pulumi.prod-cn.yaml",
    "alicloud",
    {
        "access.domain": "speech.example.cn",
        "access.certificate": "12345678-cn-hangzhou",
        "access.hostedZone": "example.cn",
        "alarms.email": "operations@example.com",
        "accountId": ALICLOUD_ACCOUNT,
        "registry.kind": "enterprise",
        "registry.instanceId": "cri-0123456789abcdef",
        "registry.host": "studio-registry.cn-hangzhou.cr.aliyuncs.com",
        "registry.nodeHost": "studio-registry-vpc.cn-hangzhou.cr.aliyuncs.com",
        "registry.namespace": "speech",
        "registry.repository": "server",
    },
)
# The same without protection and with a ready image, to be moved and broken.
TRIAL_CN = StackFile(
    "Pulumi.prod-cn.yaml",
    "alicloud",
    {
        "access.domain": "speech.example.cn",
        "access.certificate": "12345678-cn-hangzhou",
        "access.hostedZone": "example.cn",
        "accountId": ALICLOUD_ACCOUNT,
        "image": f"registry.example.cn/speech/server@sha256:{'0' * 64}",
        "protect": "false",
        "storage.forceDestroy": "true",
    },
)


class CloudStack(PulumiStack):
    """`binaries` holds the stand-in's plugins. `program`: file name -> text, instead of the checkout's program."""

    def __init__(
        self, directory: Path, binaries: Path, name: str = "test", *, program: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(directory, name, plugins=(binaries,), program=program, withheld=WITHHELD)

    def use(self, stack_file: StackFile) -> None:
        """Take these settings, and a client `studio` with `KEY`."""
        own = self.project / f"Pulumi.{self.name}.yaml"
        salt = "".join(f"{line}\n" for line in own.read_text().splitlines() if line.startswith("encryptionsalt"))
        own.write_text(salt + (ROOT / stack_file.name).read_text(encoding="utf-8"), encoding="utf-8")
        self.configure_paths(stack_file.settings, secret={"apiKeys.studio": KEY})


def stack_of(stack_file: StackFile, account: Account | None = None, name: str = "test") -> Iterator[CloudStack]:
    """A configured stack that is not up, and its files' end: the body of a fixture. By default in an empty account."""
    assert shutil.which("pulumi"), "the Pulumi CLI is not on PATH; run `make test`, or `. tools/activate` first"
    directory = Path(tempfile.mkdtemp(prefix=f"indextts2-{stack_file.package}-"))
    with serving(account or account_of(stack_file), directory, (stack_file.package, "docker")) as binaries:
        stack = CloudStack(directory, binaries, name)
        stack.use(stack_file)
        yield stack
    shutil.rmtree(directory)


def account_of(stack_file: StackFile) -> Account:
    """An empty account of the stack's cloud."""
    return Account(number=ALICLOUD_ACCOUNT if stack_file.package == "alicloud" else ACCOUNT)


def operations(plan: list[tuple[str, str, str]]) -> set[str]:
    return {operation for operation, _, _ in plan}
