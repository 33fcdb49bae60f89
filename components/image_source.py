"""Which sources an image is built from."""

from __future__ import annotations

import hashlib
from pathlib import Path

INFERENCE = Path(__file__).resolve().parents[1] / "inference"
# What running and installing leaves among the sources.
_LEFT_OVER = ("__pycache__", "build", "*.egg-info")


def source_digest(folder: Path) -> str:
    """sha256 over every file below `folder` with its path, in hexadecimal; what running leaves there does not count."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(Path(part).match(pattern) for part in relative.parts for pattern in _LEFT_OVER):
            digest.update(f"{relative.as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
