"""What can be known before the account is asked."""

from __future__ import annotations

import pulumi

from components.cloud_checks import image_problem, languages_warning, plain_http_warning
from components.image_source import INFERENCE
from components.settings import AwsSettings, SettingsError


def check(settings: AwsSettings, _stack: str) -> None:
    """Raises `SettingsError` where the image cannot be built; warns of a service without TLS."""
    problem = image_problem(settings.image, settings.engine.name, INFERENCE)
    if problem:
        raise SettingsError([problem])
    for warning in (plain_http_warning(settings.access), languages_warning(settings.engine)):
        if warning:
            pulumi.log.warn(warning)
