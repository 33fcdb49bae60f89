"""What can be known before the account is asked."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components.aws.image_source import INFERENCE
from components.settings import AwsSettings, SettingsError


def check(settings: AwsSettings, _stack: str) -> None:
    """Raises `SettingsError` where the image cannot be built; warns of a service without TLS."""
    problem = image_problem(settings, INFERENCE)
    if problem:
        raise SettingsError([problem])
    warning = plain_http_warning(settings)
    if warning:
        pulumi.log.warn(warning)


def image_problem(settings: AwsSettings, sources: Path) -> str | None:
    """Why there would be no image for the nodes."""
    dockerfile = sources / "Dockerfile"
    if settings.image or dockerfile.is_file():
        return None
    return (
        f"indextts2:image: '': there is no {dockerfile} to build an image from; give a ready one: "
        "pulumi config set indextts2:image registry/repository@sha256:..."
    )


def plain_http_warning(settings: AwsSettings) -> str | None:
    """What whoever deploys without a domain should know."""
    if settings.access.domain:
        return None
    return (
        f"indextts2:access.domain: '': the service speaks plain HTTP: keys and texts of "
        f"{', '.join(settings.access.allowed_cidrs)} can be read on their way; set a domain for TLS"
    )
