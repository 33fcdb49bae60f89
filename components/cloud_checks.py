"""What can be known of a cloud's stack before any account is asked."""

from __future__ import annotations

from pathlib import Path

from components.settings.cloud import PublicAddressSettings


def image_problem(image: str | None, sources: Path) -> str | None:
    """Why there would be no image for the nodes."""
    dockerfile = sources / "Dockerfile"
    if image or dockerfile.is_file():
        return None
    return (
        f"indextts2:image: '': there is no {dockerfile} to build an image from; give a ready one: "
        "pulumi config set indextts2:image registry/repository@sha256:..."
    )


def plain_http_warning(access: PublicAddressSettings) -> str | None:
    """What whoever deploys without a domain should know."""
    if access.domain:
        return None
    return (
        f"indextts2:access.domain: '': the service speaks plain HTTP: keys and texts of "
        f"{', '.join(access.allowed_cidrs)} can be read on their way; set a domain for TLS"
    )
