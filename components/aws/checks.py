"""What can be known before the account is asked."""

from __future__ import annotations

import pulumi

from components.cloud_checks import image_problem, plain_http_warning
from components.image_source import INFERENCE
from components.settings import AwsSettings, SettingsError


def check(settings: AwsSettings, _stack: str) -> None:
    """Raises `SettingsError` where the image cannot be built; warns of a service without TLS."""
    problem = image_problem(settings.image, INFERENCE)
    if problem:
        raise SettingsError([problem])
    warning = plain_http_warning(settings.access)
    if warning:
        pulumi.log.warn(warning)
