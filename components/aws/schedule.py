"""When nodes are wanted at all: what the group is told at which hour."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.settings.cloud import NodesSettings
from components.settings.schedule import ScheduleSettings


@dataclass(frozen=True)
class Change:
    """At `cron`, by the clocks of `time_zone`, the group gets these bounds and this number of nodes."""

    name: str
    cron: str
    time_zone: str
    least: int
    most: int
    wanted: int


def changes(nodes: NodesSettings, schedule: ScheduleSettings) -> tuple[Change, Change]:
    """Up: the stack's own bounds and one node at least, so that the first caller of the day need not wait for one.
    Down: none, and none to be had, so that a job that comes at night waits for the morning."""
    return (
        Change("up", schedule.up_cron, schedule.time_zone, nodes.min, nodes.max, first_nodes(nodes)),
        Change("down", schedule.down_cron, schedule.time_zone, 0, 0, 0),
    )


def first_nodes(nodes: NodesSettings) -> int:
    """How many nodes start with the group and with the day; from there on the scaling policies decide."""
    return max(nodes.min, 1)


def follow_schedule(
    name: str, changes: tuple[Change, ...], group: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> list[aws.autoscaling.Schedule]:
    """One scheduled action for each change; AWS keeps to the time zone's daylight saving."""
    return [
        aws.autoscaling.Schedule(
            f"{name}-{change.name}",
            autoscaling_group_name=group,
            scheduled_action_name=change.name,
            recurrence=change.cron,
            time_zone=change.time_zone,
            min_size=change.least,
            max_size=change.most,
            desired_capacity=change.wanted,
            opts=opts,
        )
        for change in changes
    ]
