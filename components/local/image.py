"""The speech server as it lies in this checkout."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pulumi

from components import contracts
from components.contracts import ServerImageArgs
from components.image_source import TARGETS, build_tag
from components.local.machine.layout import PROJECT_ROOT
from components.local.resources.container_image import ContainerImage
from components.settings import LocalSettings

SOURCES = PROJECT_ROOT / "inference"
REQUIREMENTS = PROJECT_ROOT / "requirements-local.txt"


class ServerImage(contracts.ServerImage):
    """The digest of the server's sources and pinned requirements: new code rolls the replicas, as a new image does.

    - With runtime container the image, built by Docker from them, or a ready one.

    `digest`: `sha256:...` of what runs.
    """

    def __init__(self, name: str, args: ServerImageArgs[LocalSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:local:ServerImage", name, {}, opts)
        engine = args.settings.engine.name
        self.container: ContainerImage | None = None
        if args.settings.contained:
            build = args.settings.build
            given = {
                "BASE_IMAGE": build.base_image,
                "PIP_INDEX_URL": build.pip_index,
                "DEBIAN_MIRROR": build.debian_mirror,
            }
            arguments = {name: value for name, value in given.items() if value}
            self.container = ContainerImage(
                f"{name}-image",
                str(shutil.which("docker")),
                args.settings.image or f"indextts2-speech:{build_tag(TARGETS[engine], arguments)}",
                "" if args.settings.image else TARGETS[engine],
                arguments,
                args.settings.container.network,
                pulumi.ResourceOptions(parent=self),
            )
            self.digest = self.container.image
            self.reference = self.digest
        else:
            self.digest = pulumi.Output.from_input(f"sha256:{source_digest(SOURCES, requirements(engine))}")
            self.reference = pulumi.Output.concat(engine, "@", self.digest)
        self.register_outputs({"reference": self.reference})


def requirements(engine: str) -> list[Path]:
    """What is installed where the engine's servers run: espeak's in the stack's own environment."""
    return [REQUIREMENTS] if engine == "espeak" else sorted(SOURCES.glob("requirements*.txt"))


def source_digest(sources: Path, requirements: list[Path]) -> str:
    """sha256 over every Python file below `sources`, with its path, and the requirements files."""
    digest = hashlib.sha256()
    for path in [*sorted(sources.rglob("*.py")), *requirements]:
        digest.update(f"{path.relative_to(sources.parent)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
