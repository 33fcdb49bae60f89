"""Running the Pulumi CLI on one stack, with Ctrl-C and other ends passed on so that it stops cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tools.checkout import Checkout
from tools.environment import applied, changes
from tools.failure import INTERRUPTED, SetupError
from tools.policy_pack import Pack


@dataclass(frozen=True)
class Stack:
    """A stack that is set up: its name, its target, and the CLI to use for it."""

    checkout: Checkout
    name: str
    target: str
    pulumi_bin: Path
    pack: Pack | None = None
    """The policy pack that previews and updates are held against; None: none."""

    @property
    def local(self) -> bool:
        return self.target == "local"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command that works on this stack."""
        plain = applied(changes(self.checkout, self.name, self.target, self.pulumi_bin, os.environ), os.environ)
        return self.pack.environment(plain) if self.pack else plain

    def run(self, *arguments: str) -> None:
        """Runs `pulumi ARGUMENTS --stack NAME` in this terminal. Raises SetupError when it fails."""
        process = subprocess.Popen(self._command(arguments), cwd=self.checkout.root, env=self.environment)
        with _ends_passed_on(process) as interrupted:
            status = process.wait()
        _check(arguments[0], status, interrupted())

    def watch(self, *arguments: str) -> list[str]:
        """Runs it as `run` does, without a question, and gives the lines that it printed."""
        color = "always" if sys.stdout.isatty() else "never"
        command = self._command((*arguments, "--non-interactive", "--color", color))
        process = subprocess.Popen(
            command,
            cwd=self.checkout.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        lines: list[str] = []
        assert process.stdout is not None
        with _ends_passed_on(process) as interrupted, process.stdout as output:
            for line in output:
                sys.stdout.write(line)
                sys.stdout.flush()
                lines.append(line.rstrip("\n"))
            status = process.wait()
        _check(arguments[0], status, interrupted())
        return lines

    def ask(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs it without a question and gives what it printed, each stream apart. The caller looks at its status."""
        return subprocess.run(
            self._command((*arguments, "--non-interactive", "--color", "never")),
            cwd=self.checkout.root,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )

    def outputs(self) -> dict[str, object]:
        """The stack's outputs, secrets in the clear: never print them whole."""
        command = self._command(("stack", "output", "--json", "--show-secrets", "--non-interactive"))
        finished = subprocess.run(
            command, cwd=self.checkout.root, env=self.environment, capture_output=True, text=True, check=False
        )
        if finished.returncode != 0:
            raise SetupError(f"the outputs of the stack {self.name} cannot be read:\n{finished.stderr.strip()}")
        return json.loads(finished.stdout)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        held = ["--policy-pack", str(self.pack.directory)] if self.pack and arguments[0] in ("preview", "up") else []
        return [str(self.pulumi_bin / "pulumi"), *arguments, *held, "--stack", self.name]


def _check(command: str, status: int, interrupted: bool) -> None:
    if interrupted:
        raise SetupError(f"pulumi {command} was interrupted; run this again to go on", INTERRUPTED)
    if status != 0:
        raise SetupError(f"pulumi {command} ended with status {status}: what is wrong is said above")


@contextmanager
def _ends_passed_on(
    process: subprocess.Popen[str] | subprocess.Popen[bytes],
) -> Generator[Callable[[], bool], None, None]:
    """While the block runs, an end of this process becomes a clean end of `process`; gives whether one was asked for.

    A Ctrl-C reaches both from the terminal, so it is only noted here: sent twice, Pulumi would stop without writing
    its state. SIGTERM and SIGHUP reach this process alone and are passed on as the interrupt that Pulumi understands.
    """
    asked = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    def pass_on(number: int, frame: FrameType | None) -> None:
        note(number, frame)
        process.send_signal(signal.SIGINT)

    handlers = {signal.SIGINT: note, signal.SIGTERM: pass_on, signal.SIGHUP: pass_on}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
