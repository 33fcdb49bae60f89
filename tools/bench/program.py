"""How long preview and update take, against a Pulumi program in Python that does nothing.

The local stack as it is; the production stacks of the clouds with a stand-in for the provider, for no account is at
hand: what it measures is the program and the engine, not the vendor's answers.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.engine.cloud_stack import PROD, PROD_CN, CloudStack, StackFile
from tests.engine.stack import LocalStack
from tests.engine.standin.account import Account
from tests.engine.standin.plugins import serving
from tests.invented import ACCOUNT as AWS_ACCOUNT
from tests.invented_alicloud import ACCOUNT as ALICLOUD_ACCOUNT
from tools.bench.figures import Row, in_turn, ratio, seconds

RUNS = 7
EMPTY = {
    "Pulumi.yaml": "name: empty\nruntime: python\n",
    "__main__.py": 'import pulumi\n\npulumi.export("nothing", 1)\n',
}


def measure() -> list[Row]:
    return [
        *_local(),
        *_cloud("aws prod", PROD, AWS_ACCOUNT),
        *_cloud("alicloud prod-cn", PROD_CN, ALICLOUD_ACCOUNT),
    ]


def _local() -> list[Row]:
    directory = Path(tempfile.mkdtemp(prefix="indextts2-bench-"))
    stack = LocalStack(directory)
    try:
        pulumi = _empty_program(directory, stack.environment)
        first = seconds(stack.up)
        pulumi("up", "--yes", "--skip-preview")
        preview = in_turn(lambda: stack.pulumi("preview", "--stack", stack.name), lambda: pulumi("preview"), RUNS)
        update = in_turn(stack.up, lambda: pulumi("up", "--yes", "--skip-preview"), RUNS)
        refreshed = statistics.median(seconds(lambda: stack.up("--refresh")) for _ in range(3))
        destroyed = seconds(stack.destroy)
    finally:
        stack.remove()
    return [
        Row("preview, nothing to do", f"{ratio(*preview):.2f}x an empty program ({_both(preview)})", "at most 2x"),
        Row("up, nothing to do", f"{ratio(*update):.2f}x an empty program ({_both(update)})"),
        Row("up --refresh, nothing to do", f"{refreshed:.2f} s"),
        Row("up from nothing to a service that is ready", f"{first:.2f} s"),
        Row("destroy", f"{destroyed:.2f} s"),
    ]


def _cloud(label: str, stack_file: StackFile, account: str) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="indextts2-bench-") as name:
        directory = Path(name)
        with serving(Account(number=account), directory, (stack_file.package, "docker")) as plugins:
            stack = CloudStack(directory, plugins)
            stack.use(stack_file)
            pulumi = _empty_program(directory, stack.environment)
            fresh = in_turn(stack.preview, lambda: pulumi("preview"), RUNS)
            stack.up()
            pulumi("up", "--yes", "--skip-preview")
            again = in_turn(stack.preview, lambda: pulumi("preview"), RUNS)
    return [
        Row(
            f"{label}: preview, {what} to do",
            f"{ratio(*times):.2f}x an empty program ({_both(times)})",
            "at most 2.5x",
        )
        for what, times in (("all", fresh), ("nothing", again))
    ]


def _empty_program(directory: Path, environment: Mapping[str, str]) -> Callable[..., None]:
    """Runs the CLI on a stack of a program that does nothing."""
    empty = directory / "empty"
    empty.mkdir()
    for name, text in EMPTY.items():
        (empty / name).write_text(text)

    def pulumi(*arguments: str) -> None:
        command = ["pulumi", *arguments, "--non-interactive"]
        subprocess.run(command, cwd=empty, env=environment, check=True, stdout=subprocess.DEVNULL)

    pulumi("stack", "init", "empty")
    return pulumi


def _both(pair: tuple[list[float], list[float]]) -> str:
    return " to ".join(f"{statistics.median(times):.2f} s" for times in pair)
