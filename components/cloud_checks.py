"""What can be known of a cloud's stack before any account is asked."""

from __future__ import annotations

from pathlib import Path

from components.image_source import TARGETS, WEIGHTS_TARGETS, stages
from components.settings.cloud import PublicAddressSettings
from components.settings.engine import EngineSettings


def image_problem(image: str | None, engine: str, sources: Path) -> str | None:
    """Why there would be no image with the engine for the nodes."""
    dockerfile = sources / "Dockerfile"
    if image:
        return None
    if not dockerfile.is_file():
        lacking = f"there is no {dockerfile} to build an image from"
    elif missing := _needed(engine) - set(stages(dockerfile.read_text(encoding="utf-8"))):
        lacking = f"{dockerfile} has no target {' and no target '.join(sorted(missing))}, for the engine {engine}"
    else:
        return None
    return (
        f"indextts2:image: '': {lacking}; give a ready one: pulumi config set indextts2:image "
        "registry/repository@sha256:..."
    )


def languages_warning(engine: EngineSettings) -> str | None:
    """What whoever chose the older model should know."""
    if engine.version != "2":
        return None
    return (
        "indextts2:engine.version: '2': speaks Chinese and English alone, and stretches a clip to change its pace; "
        "version 2.5 also speaks Japanese, Spanish and Arabic, and changes the pace itself"
    )


def plain_http_warning(access: PublicAddressSettings) -> str | None:
    """What whoever deploys without a domain should know."""
    if access.domain:
        return None
    return (
        f"indextts2:access.domain: '': the service speaks plain HTTP: keys and texts of "
        f"{', '.join(access.allowed_cidrs)} can be read on their way; set a domain for TLS"
    )


def _needed(engine: str) -> set[str]:
    return {targets[engine] for targets in (TARGETS, WEIGHTS_TARGETS) if engine in targets}
