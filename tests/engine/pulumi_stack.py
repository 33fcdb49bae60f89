"""A stack of its own for a test: the real CLI and engine, in a directory of the test's.

The program is the checkout's, unless another is given; the stack's file, state and passphrase are the test's, so that
nothing of the person's own stacks is read or changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class PulumiStack:
    """`plugins`: directories of executables that the engine shall find first.

    `program`: file name -> text, instead of the checkout's program. `withheld`: prefixes of environment variables that
    are not passed on, beside Pulumi's own.
    """

    def __init__(
        self,
        directory: Path,
        name: str = "test",
        *,
        plugins: Sequence[Path] = (),
        program: Mapping[str, str] | None = None,
        withheld: tuple[str, ...] = (),
    ) -> None:
        self.directory, self.name = directory, name
        self.project = directory / "project"
        self.project.mkdir()
        if program:
            for file_name, text in program.items():
                (self.project / file_name).write_text(text)
        else:
            self._copy_the_checkout()
        (directory / "state").mkdir()
        foreign = ("PULUMI_", *withheld)
        path = [*(str(place) for place in plugins), str(Path(sys.executable).parent), os.environ["PATH"]]
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(foreign)},
            "PATH": os.pathsep.join(path),
            "PULUMI_HOME": str(directory / "home"),
            "PULUMI_BACKEND_URL": (directory / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "of this test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # The engine lives for seconds: to collect its garbage less often spares a tenth of what a run takes.
            "GOGC": "400",
        }
        self.pulumi("stack", "init", name)

    def _copy_the_checkout(self) -> None:
        # A copy, so that a test may change the program, and a change of the checkout is no change of the stack.
        for part in ("components", "inference"):
            shutil.copytree(ROOT / part, self.project / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("__main__.py", "Pulumi.yaml", "requirements-local.txt"):
            shutil.copy(ROOT / part, self.project)
        (self.project / ".venv").symlink_to(Path(sys.executable).parent.parent)

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

    def configure_path(self, path: str, value: str, *, secret: bool = False) -> None:
        """Set a key, or one inside an object, say `nodes.max`."""
        flags = ["--secret"] if secret else ["--plaintext"]
        self.pulumi("config", "set", "--path", f"indextts2:{path}", value, *flags, "--stack", self.name)

    def configure_paths(self, plain: Mapping[str, str], secret: Mapping[str, str] | None = None) -> None:
        """`configure_path` for several at once, for each call of the CLI takes a part of a second."""
        given = {"--plaintext": plain, "--secret": secret or {}}
        flags = [
            argument
            for kind, settings in given.items()
            for path, value in settings.items()
            for argument in (kind, f"indextts2:{path}={value}")
        ]
        self.pulumi("config", "set-all", "--path", *flags, "--stack", self.name)

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
        return json.loads(self.export())["deployment"].get("resources") or []

    def export(self) -> str:
        """The state as `pulumi stack export` gives it."""
        return self._alone("stack", "export", "--stack", self.name)

    def outputs(self, *arguments: str) -> dict[str, Any]:
        return json.loads(self._alone("stack", "output", "--json", "--stack", self.name, *arguments))

    def _alone(self, *arguments: str, check: bool = True) -> str:
        """What the CLI prints to its standard output alone."""
        done = subprocess.run(
            ["pulumi", *arguments], cwd=self.project, env=self.environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout
