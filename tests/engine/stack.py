"""A local stack of its own for a test: the real CLI, the real engine, real processes, in a directory of the test's.

The program is the checkout's; the stack's file, state, passphrase and data are the test's, so that nothing of the
person's own stacks is read or changed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class LocalStack:
    """`directory` holds everything; `name` is the stack's."""

    directory: Path
    name: str = "test"

    def __post_init__(self) -> None:
        self.project = self.directory / "project"
        self.data = self.directory / "data"
        self.port = free_port()
        self.project.mkdir()
        # Copies, so that the project finds itself here and a change of the checkout is no change of the stack.
        for part in ("components", "inference"):
            shutil.copytree(ROOT / part, self.project / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("__main__.py", "Pulumi.yaml", "requirements-local.txt"):
            shutil.copy(ROOT / part, self.project)
        (self.project / ".venv").symlink_to(ROOT / ".venv")
        (self.directory / "state").mkdir()
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PULUMI_HOME": str(self.directory / "home"),
            "PULUMI_BACKEND_URL": (self.directory / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "of this test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        self.pulumi("stack", "init", self.name)
        self.configure(dataDir=str(self.data), port=str(self.port))

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

    def configure(self, **values: str) -> None:
        for key, value in values.items():
            self.pulumi("config", "set", f"indextts2:{key}", value, "--stack", self.name)

    def configure_path(self, path: str, value: str, *, secret: bool = False) -> None:
        """Set a key inside an object, say `storage.forceDestroy`."""
        flags = ["--secret"] if secret else ["--plaintext"]
        self.pulumi("config", "set", "--path", f"indextts2:{path}", value, *flags, "--stack", self.name)

    def up(self, *arguments: str, check: bool = True) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", self.name, *arguments, check=check).stdout

    def preview(self, *arguments: str) -> str:
        return self.pulumi("preview", "--diff", "--stack", self.name, *arguments).stdout

    def destroy(self) -> str:
        return self.pulumi("destroy", "--yes", "--skip-preview", "--stack", self.name).stdout

    def outputs(self) -> dict[str, Any]:
        done = subprocess.run(
            ["pulumi", "stack", "output", "--json", "--show-secrets", "--stack", self.name],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    def client(self) -> httpx.Client:
        outputs = self.outputs()
        headers = {"Authorization": f"Bearer {outputs['apiKey']}"}
        return httpx.Client(base_url=outputs["url"], headers=headers, timeout=60, trust_env=False)

    def processes(self) -> list[psutil.Process]:
        """Every process of the stack, engine processes included: they all work in its run directory."""
        return [process for process in psutil.process_iter() if working_directory(process) == self.data / "run"]

    def pid_of(self, name: str) -> int:
        """The process id of a program of the supervisor's, which says so itself; 0 when it is down."""
        done = self.supervisorctl("pid", name)
        return int(done.stdout) if done.stdout.strip().isdigit() else 0

    def program(self, name: str) -> psutil.Process:
        """The process of a program that runs."""
        return psutil.Process(self.pid_of(name))

    def supervisorctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).parent / "supervisorctl"
        config = self.data / "run" / "supervisord.conf"
        return subprocess.run(
            [str(program), "-c", str(config), *arguments], capture_output=True, text=True, check=False
        )

    def remove(self) -> None:
        """End what a failed test left, and its files."""
        for process in self.processes():
            process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def working_directory(process: psutil.Process) -> Path | None:
    try:
        return Path(process.cwd())
    except (psutil.Error, OSError):
        return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
