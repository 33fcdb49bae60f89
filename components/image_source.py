"""Which sources an image is built from, and which of the images that they make."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

INFERENCE = Path(__file__).resolve().parents[1] / "inference"
# The stage of inference/Dockerfile that has an engine and what it needs.
TARGETS = {"espeak": "cpu", "indextts2": "indextts2"}
# The one that brings an engine's weights to a node and has little else, so that it is there long before the other.
WEIGHTS_TARGETS = {"indextts2": "weights"}
# What running and installing leaves among the sources.
_LEFT_OVER = ("__pycache__", "build", "*.egg-info")
_STAGE = re.compile(r"^FROM\s.+\sAS\s+(\S+)\s*$", re.MULTILINE | re.IGNORECASE)


def stages(dockerfile: str) -> tuple[str, ...]:
    """The names of a Dockerfile's stages, which are what can be built of it."""
    return tuple(_STAGE.findall(dockerfile))


def build_tag(target: str, arguments: Mapping[str, str]) -> str:
    """A tag that is another for other sources, another target or other build arguments: 16 hexadecimal digits."""
    what = json.dumps([source_digest(INFERENCE), target, arguments], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def source_digest(folder: Path) -> str:
    """sha256 over every file below `folder` with its path, in hexadecimal; what running leaves there does not count."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(Path(part).match(pattern) for part in relative.parts for pattern in _LEFT_OVER):
            digest.update(f"{relative.as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
