"""The speech server as it lies in this checkout."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pulumi

from components import contracts
from components.contracts import ServerImageArgs
from components.local.machine.layout import PROJECT_ROOT
from components.settings import LocalSettings

SOURCES = PROJECT_ROOT / "inference"
REQUIREMENTS = PROJECT_ROOT / "requirements-local.txt"


class ServerImage(contracts.ServerImage):
    """The digest of the server's sources and pinned requirements: new code rolls the replicas, as a new image does."""

    def __init__(self, name: str, args: ServerImageArgs[LocalSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:local:ServerImage", name, {}, opts)
        self.digest = source_digest(SOURCES, REQUIREMENTS)
        self.reference = pulumi.Output.from_input(f"{args.settings.engine.name}@sha256:{self.digest}")
        self.register_outputs({"reference": self.reference})


def source_digest(sources: Path, requirements: Path) -> str:
    """sha256 over every Python file below `sources`, with its path, and the requirements file."""
    digest = hashlib.sha256()
    for path in [*sorted(sources.rglob("*.py")), requirements]:
        digest.update(f"{path.relative_to(sources.parent)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
