"""A local stack of its own for a test: the real CLI, the real engine, real processes, in a directory of the test's."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.engine.pulumi_stack import ROOT, PulumiStack

__all__ = ["ROOT", "LocalStack", "free_port", "working_directory"]


class LocalStack(PulumiStack):
    """`directory` holds everything; `name` is the stack's."""

    def __init__(self, directory: Path, name: str = "test") -> None:
        super().__init__(directory, name)
        self.data = directory / "data"
        self.port = free_port()
        self.configure(dataDir=str(self.data), port=str(self.port))

    def configure(self, **values: str) -> None:
        """`configure_paths`, where `engine__name` is `engine.name`."""
        self.configure_paths({key.replace("__", "."): value for key, value in values.items()})

    def preview(self, *arguments: str, check: bool = True) -> str:
        return super().preview("--diff", *arguments, check=check)

    def destroy(self, *arguments: str, check: bool = True) -> str:
        return super().destroy("--skip-preview", *arguments, check=check)

    def outputs(self, *arguments: str) -> dict[str, Any]:
        """With the generated key."""
        return super().outputs("--show-secrets", *arguments)

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
