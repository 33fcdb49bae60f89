"""How many nodes there should be: the group's rules, and the alarms on the nodes' own figure that call them.

The figure is the work that a node has and gets, in nodes: the part of the time in which it speaks, and the waiting
seconds of synthesis spread over the time in which they are to be done (`node/report.py`). CloudMonitor makes its
average over the nodes. With no node there is no figure: then the queue and the load balancer call for the first one
(`alarms.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pulumi
from pulumi_alicloud import ess

from components.alicloud.timing import USUAL_COLD_START_SECONDS, WARM_HOOK_SECONDS

# What a node should have to do, 1 being all that it can.
TARGET_DEMAND = 0.7
# More than this asks for twice as many at once; less, for one fewer: far enough below that one fewer is not too few.
MUCH_DEMAND = 2.0
LITTLE_DEMAND = 0.25


@dataclass(frozen=True)
class Rule:
    """What the group does. `kind` and `value` as Auto Scaling has them; then it does nothing for `cooldown` seconds.

    `least`: of a percentage, the fewest nodes that it stands for.
    """

    name: str
    kind: str
    value: int
    cooldown: int
    least: int | None = None


@dataclass(frozen=True)
class Trigger:
    """The rule `rule` is called when the nodes' average demand was so in `minutes` one after another."""

    rule: str
    comparison: str
    threshold: float
    minutes: int


def rules(least: int, longest: int) -> tuple[Rule, ...]:
    """`least`: nodes.min; `longest`: the longest start of a node, seconds. A node that boots has nothing to say yet, so
    that each rule waits until it could."""
    return (
        Rule("grow", "QuantityChangeInCapacity", 1, USUAL_COLD_START_SECONDS),
        Rule("double", "PercentChangeInCapacity", 100, USUAL_COLD_START_SECONDS, least=1),
        Rule("shrink", "QuantityChangeInCapacity", -1, 300),
        # The alarms that call it go on while the first node boots.
        Rule("wake", "QuantityChangeInCapacity", 1, longest),
        Rule("release", "TotalCapacity", least, 300),
    )


TRIGGERS = (
    Trigger("grow", ">=", TARGET_DEMAND, 3),
    Trigger("double", ">=", MUCH_DEMAND, 3),
    Trigger("shrink", "<", LITTLE_DEMAND, 15),
)


def scaling_rules(
    name: str, least: int, longest: int, group: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> dict[str, ess.ScalingRule]:
    """The group's rules by their names."""
    return {
        rule.name: ess.ScalingRule(
            f"{name}-{rule.name}",
            scaling_group_id=group,
            scaling_rule_name=f"{name}-{rule.name}",
            scaling_rule_type="SimpleScalingRule",
            adjustment_type=rule.kind,
            adjustment_value=rule.value,
            min_adjustment_magnitude=rule.least,
            cooldown=rule.cooldown,
            opts=opts,
        )
        for rule in rules(least, longest)
    }


def follow_demand(
    name: str,
    fleet: str,
    metric_group: pulumi.Input[int],
    group: pulumi.Input[str],
    made: dict[str, ess.ScalingRule],
    opts: pulumi.ResourceOptions,
) -> list[ess.Alarm]:
    """Adds nodes within minutes of more demand, and takes one away after a quarter of an hour of little."""
    return [
        ess.Alarm(
            f"{name}-{trigger.rule}",
            name=_alarm_name(trigger.rule, fleet),
            description="The work that the nodes have and get, in nodes",
            scaling_group_id=group,
            metric_type="custom",
            metric_name="Demand",
            cloud_monitor_group_id=metric_group,
            dimensions={"fleet": fleet},
            period=60,
            statistics="Average",
            comparison_operator=trigger.comparison,
            threshold=f"{trigger.threshold:g}",
            evaluation_count=trigger.minutes,
            alarm_actions=[made[trigger.rule].ari],
            opts=opts,
        )
        for trigger in TRIGGERS
    ]


def idle_windows(minutes: int) -> int:
    """In how many windows of five minutes one after another no GPU may have anything to do.

    The GPU of a node that boots is idle too, so that `minutes` begin after the longest boot.
    """
    return math.ceil((minutes + WARM_HOOK_SECONDS / 60) / 5)


def release_idle(
    name: str,
    fleet: str,
    minutes: int,
    group: pulumi.Input[str],
    made: dict[str, ess.ScalingRule],
    opts: pulumi.ResourceOptions,
) -> ess.Alarm:
    """Goes back to the least number of nodes when no GPU had anything to do for so long.

    The figure is the CloudMonitor agent's, and its largest value: one busy GPU keeps all.
    """
    return ess.Alarm(
        f"{name}-idle-gpus",
        name=_alarm_name("idle-gpus", fleet),
        description="No GPU had anything to do: nodes above nodes.min are released",
        scaling_group_id=group,
        metric_type="system",
        metric_name="GpuUtilizationAgent",
        period=300,
        statistics="Maximum",
        comparison_operator="<=",
        threshold="1",
        evaluation_count=idle_windows(minutes),
        alarm_actions=[made["release"].ari],
        opts=opts,
    )


def _alarm_name(label: str, fleet: str) -> str:
    """The account's own; the digest at the end of the fleet's name tells one stack's from another's."""
    return f"speech-{label}-{fleet.rpartition('-')[2]}"
