"""When nodes are wanted at all: what the group is told at which hour."""

from __future__ import annotations

import datetime
import zoneinfo
from dataclasses import dataclass

import pulumi
from pulumi_alicloud import ess

from components.settings.alicloud import AlicloudScheduleSettings
from components.settings.cloud import NodesSettings


@dataclass(frozen=True)
class Change:
    """At `cron`, in UTC, the group gets these bounds and this number of nodes; the last time before `until`."""

    name: str
    cron: str
    until: str
    least: int
    most: int
    wanted: int


def changes(nodes: NodesSettings, schedule: AlicloudScheduleSettings) -> tuple[Change, ...]:
    """Up: the stack's own bounds and one node at least, so that the first caller of the day need not wait for one.
    Down: none, and none to be had, so that a job that comes at night waits for the morning."""
    wanted = {
        "up": (schedule.up_cron, nodes.min, nodes.max, first_nodes(nodes)),
        "down": (schedule.down_cron, 0, 0, 0),
    }
    # Auto Scaling takes a minute's time, in UTC: https://www.alibabacloud.com/help/en/auto-scaling/developer-reference/api-createscheduledtask
    until = f"{schedule.until}T00:00Z"
    return tuple(
        Change(f"{name}{number or ''}", cron, until, least, most, count)
        for name, (local, least, most, count) in wanted.items()
        for number, cron in enumerate(utc_crons(local, schedule.time_zone, schedule.last_day.year))
    )


def first_nodes(nodes: NodesSettings) -> int:
    """How many nodes start with the group and with the day; from there on the scaling rules decide."""
    return max(nodes.min, 1)


def utc_crons(cron: str, time_zone: str, year: int) -> list[str]:
    """`MINUTE HOUR * * DAYS` by the clocks of a time zone as cron expressions in UTC, the only time of the group.

    A zone with daylight saving has two, each for the months that have its offset in their middle: in the days between
    the change of the clocks and the end of that month the group is an hour early or late.
    """
    minute, hour, _, _, days = cron.split()
    zone = zoneinfo.ZoneInfo(time_zone)
    months: dict[int, list[int]] = {}
    for month in range(1, 13):
        offset = datetime.datetime(year, month, 15, 12, tzinfo=zone).utcoffset() or datetime.timedelta()
        months.setdefault(int(offset.total_seconds()) // 60, []).append(month)
    return [_moved(int(minute), int(hour), days, offset, own) for offset, own in months.items()]


def follow_schedule(
    name: str, fleet: str, changes: tuple[Change, ...], group: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> list[ess.ScheduledTask]:
    """One scheduled task for each change.

    A task's name is the account's own in the region and has 40 characters at most; the digest at the end of the fleet's
    name tells one stack's from another's.
    """
    digest = fleet.rpartition("-")[2]
    return [
        ess.ScheduledTask(
            f"{name}-{change.name}",
            scaling_group_id=group,
            scheduled_task_name=f"speech-{change.name}-{digest}",
            recurrence_type="Cron",
            recurrence_value=change.cron,
            recurrence_end_time=change.until,
            min_value=change.least,
            max_value=change.most,
            desired_capacity=change.wanted,
            # A task that another scaling activity is in the way of is tried again for half an hour, the longest.
            launch_expiration_time=1800,
            # The service makes a first time of the expression, which is read back.
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["launchTime"])),
        )
        for change in changes
    ]


def _moved(minute: int, hour: int, days: str, offset: int, months: list[int]) -> str:
    day, at = divmod(hour * 60 + minute - offset, 24 * 60)
    numbers = [] if days == "*" else sorted((int(number) + day) % 7 for number in days.split(","))
    own_days = ",".join(str(number) for number in numbers) or "*"
    own_months = "*" if len(months) == 12 else ",".join(str(month) for month in months)
    return f"{at % 60} {at // 60} * {own_months} {own_days}"
