"""What can be known before the account is asked."""

from __future__ import annotations

import datetime

import pulumi

from components.alicloud.subnets import node_room
from components.cloud_checks import image_problem, languages_warning, plain_http_warning
from components.image_source import INFERENCE
from components.settings import AlicloudSettings, SettingsError

# A task of Auto Scaling is repeated for so long at the most:
# https://www.alibabacloud.com/help/en/auto-scaling/developer-reference/api-createscheduledtask
LONGEST_SCHEDULE = datetime.timedelta(days=365)
WARNED_BEFORE = datetime.timedelta(days=60)


def check(settings: AlicloudSettings, _stack: str) -> None:
    """Raises `SettingsError` with everything that is wrong; warns of a service without TLS and of a schedule's end."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    problems = [
        image_problem(settings.image, settings.engine.name, INFERENCE),
        schedule_problem(settings, today),
        room_problem(settings),
    ]
    if any(problems):
        raise SettingsError([text for text in problems if text])
    warnings = (
        plain_http_warning(settings.access),
        languages_warning(settings.engine),
        schedule_warning(settings, today),
    )
    for warning in warnings:
        if warning:
            pulumi.log.warn(warning)


def schedule_problem(settings: AlicloudSettings, today: datetime.date) -> str | None:
    """Why the schedule's last day cannot be that."""
    if settings.schedule is None:
        return None
    shown = f"indextts2:schedule.until: {settings.schedule.until!r}:"
    latest = today + LONGEST_SCHEDULE
    if settings.schedule.last_day <= today:
        return f"{shown} is over; give a later day, at most {latest}, or remove schedule.up and schedule.down"
    if settings.schedule.last_day > latest:
        return f"{shown} is more than a year ahead, and Auto Scaling repeats a task no longer; give {latest} at most"
    return None


def schedule_warning(settings: AlicloudSettings, today: datetime.date) -> str | None:
    """That the schedule ends soon, after which nodes come and go by load alone."""
    if settings.schedule is None or settings.schedule.last_day - today > WARNED_BEFORE:
        return None
    return (
        f"indextts2:schedule.until: {settings.schedule.until!r}: the schedule ends in "
        f"{(settings.schedule.last_day - today).days} days; pulumi config set --path indextts2:schedule.until "
        f"{today + LONGEST_SCHEDULE}"
    )


def room_problem(settings: AlicloudSettings) -> str | None:
    """Why the stack's own network is too small for its nodes."""
    network, most = settings.network, settings.nodes.max
    room = node_room(network.cidr, settings.zones)
    if network.vpc_id is not None or not settings.zones or most <= room:
        return None
    return (
        f"indextts2:network.cidr: {network.cidr!r}: has room for {room} nodes in {len(settings.zones)} zones, and "
        f"nodes.max is {most}; use a larger range, say a /16"
    )
