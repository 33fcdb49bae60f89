"""A setting of a stack that a test runs, whatever kind of stack it is."""

from __future__ import annotations

import subprocess
from typing import Protocol


class Configurable(Protocol):
    name: str

    def pulumi(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]: ...


def configure(stack: Configurable, path: str, value: str, *, secret: bool = False) -> None:
    """Set a key, or one inside an object, say `nodes.max`."""
    kind = "--secret" if secret else "--plaintext"
    stack.pulumi("config", "set", "--path", f"indextts2:{path}", value, kind, "--stack", stack.name)
