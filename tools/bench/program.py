"""How long preview and update of the local stack take, against a Pulumi program in Python that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from pathlib import Path

from tests.engine.stack import LocalStack
from tools.bench.figures import Row, in_turn, ratio, seconds

RUNS = 7
EMPTY = {
    "Pulumi.yaml": "name: empty\nruntime: python\n",
    "__main__.py": 'import pulumi\n\npulumi.export("nothing", 1)\n',
}


def measure() -> list[Row]:
    directory = Path(tempfile.mkdtemp(prefix="indextts2-bench-"))
    stack = LocalStack(directory)
    try:
        empty = directory / "empty"
        empty.mkdir()
        for name, text in EMPTY.items():
            (empty / name).write_text(text)

        def pulumi(*arguments: str) -> None:
            command = ["pulumi", *arguments, "--non-interactive"]
            subprocess.run(command, cwd=empty, env=stack.environment, check=True, stdout=subprocess.DEVNULL)

        pulumi("stack", "init", "empty")
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


def _both(pair: tuple[list[float], list[float]]) -> str:
    return " to ".join(f"{statistics.median(times):.2f} s" for times in pair)
