"""A cloud stack of its own for a test: the real CLI and engine, the stand-in provider, a state in the test's directory.

The program is the checkout's, unless another is given; the stack's file, state and passphrase are the test's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.invented import ACCOUNT

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-a-studio-that-is-long-enough-0123456789"


@dataclass(frozen=True)
class StackFile:
    """A stack file of the checkout, and settings that it leaves to whoever deploys it."""

    name: str
    settings: Mapping[str, str]


DEV = StackFile("Pulumi.dev.yaml", {"access.allowedCidrs[0]": "203.0.113.0/24"})
PROD = StackFile(
    "Pulumi.prod.yaml",
    {
        "access.domain": "speech.example.com",
        "access.hostedZone": "example.com",
        "alarms.email": "operations@example.com",
        "alarms.monthlyBudgetUsd": "2000",
        "accountId": ACCOUNT,
    },
)


@dataclass
class CloudStack:
    """`binaries` holds the stand-in's plugins. `program`: file name -> text, instead of the checkout's program."""

    directory: Path
    binaries: Path
    name: str = "test"
    program: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = self.directory / "project"
        self.project.mkdir()
        if self.program:
            for name, text in self.program.items():
                (self.project / name).write_text(text)
        else:
            self._copy_the_checkout()
        (self.directory / "state").mkdir()
        # Nothing of the person's own cloud account may reach the program.
        foreign = ("PULUMI_", "AWS_")
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(foreign)},
            "PATH": os.pathsep.join([str(self.binaries), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PULUMI_HOME": str(self.directory / "home"),
            "PULUMI_BACKEND_URL": (self.directory / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "of this test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        self.pulumi("stack", "init", self.name)

    def _copy_the_checkout(self) -> None:
        # A copy, so that a test may change the image's sources.
        for part in ("components", "inference"):
            shutil.copytree(ROOT / part, self.project / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("__main__.py", "Pulumi.yaml"):
            shutil.copy(ROOT / part, self.project)
        (self.project / ".venv").symlink_to(Path(sys.executable).parent.parent)
        dockerfile = self.project / "inference" / "Dockerfile"
        if not dockerfile.exists():
            # Nothing is built from it here; a build without one is refused.
            dockerfile.write_text("FROM scratch\n")

    def pulumi(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the CLI and return what it printed, both streams in one. `check`: a failure fails the test."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def use(self, stack_file: StackFile) -> None:
        """Take these settings, and a client `studio` with `KEY`."""
        own = self.project / f"Pulumi.{self.name}.yaml"
        salt = "".join(f"{line}\n" for line in own.read_text().splitlines() if line.startswith("encryptionsalt"))
        own.write_text(salt + (ROOT / stack_file.name).read_text(encoding="utf-8"), encoding="utf-8")
        self.configure("apiKeys.studio", KEY, secret=True)
        for path, value in stack_file.settings.items():
            self.configure(path, value)

    def configure(self, path: str, value: str, *, secret: bool = False) -> None:
        """Set a key, or one inside an object, say `nodes.max`."""
        flags = ["--secret"] if secret else ["--plaintext"]
        self.pulumi("config", "set", "--path", f"indextts2:{path}", value, *flags, "--stack", self.name)

    def up(self, *arguments: str, check: bool = True) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", self.name, *arguments, check=check).stdout

    def preview(self, *arguments: str, check: bool = True) -> str:
        return self.pulumi("preview", "--stack", self.name, *arguments, check=check).stdout

    def destroy(self, *arguments: str, check: bool = True) -> str:
        return self.pulumi("destroy", "--yes", "--stack", self.name, *arguments, check=check).stdout

    def plan(self) -> list[tuple[str, str, str]]:
        """What a preview would do: (operation, type, logical name) of everything that does not stay the same."""
        shown = json.loads(self._alone("preview", "--json", "--stack", self.name, check=False))
        problems = [one["message"] for one in shown.get("diagnostics", []) if one["severity"] == "error"]
        assert not problems, "\n".join(problems)
        return [
            (step["op"], *re.split(r"::|\$", step["urn"])[-2:])
            for step in shown["steps"]
            if step["op"] not in ("same", "read") and "pulumi:pulumi:Stack" not in step["urn"]
        ]

    def state(self) -> list[dict[str, Any]]:
        return json.loads(self.export())["deployment"].get("resources", [])

    def export(self) -> str:
        """The state as `pulumi stack export` gives it."""
        return self._alone("stack", "export", "--stack", self.name)

    def outputs(self) -> dict[str, Any]:
        return json.loads(self._alone("stack", "output", "--json", "--stack", self.name))

    def _alone(self, *arguments: str, check: bool = True) -> str:
        """What the CLI prints to its standard output alone."""
        done = subprocess.run(
            ["pulumi", *arguments], cwd=self.project, env=self.environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout
