"""GPUs outside production: every one has an end, by the clock or by demand."""

from __future__ import annotations

from collections.abc import Iterator

from rules.rule import Resource, Stack, StackRule, is_production

_AWS_GROUP = "aws:autoscaling/group:Group"
_ESS_GROUP = "alicloud:ess/scalingGroup:ScalingGroup"
AWS_FLEETS = (_AWS_GROUP,)
# A node that no group looks after runs until somebody remembers it.
_SINGLE = (
    "aws:ec2/instance:Instance",
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
    "aws:ec2/fleet:Fleet",
    "aws:ec2/spotFleetRequest:SpotFleetRequest",
    "alicloud:ecs/instance:Instance",
)


def gpu_without_end(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """A group that neither a schedule nor a scale-in to none ever ends, or an instance without a group."""
    if is_production(stack.name):
        return
    for node in stack.of_type(*_SINGLE):
        yield node, "a node without a group runs until somebody stops it; use the fleet, with a schedule"
    for group in stack.of_type(_AWS_GROUP, _ESS_GROUP):
        if _ends_by_clock(stack, group):
            continue
        if _least(group) > 0:
            yield group, f"keeps {_least(group)} nodes for ever; set indextts2:schedule, or nodes.min to 0"
        elif not _ends_by_demand(stack, group):
            yield group, "nothing takes its nodes away; set indextts2:schedule, or keep the scale-in policy"


def _least(group: Resource) -> int:
    least = group.get("minSize")
    return int(least) if isinstance(least, (int, float)) else 0


def _of(stack: Stack, group: Resource, kinds: tuple[str, ...], link: str) -> Iterator[Resource]:
    for one in stack.of_type(*kinds):
        if group.urn in one.sources.get(link, ()):
            yield one


def _ends_by_clock(stack: Stack, group: Resource) -> bool:
    aws = _of(stack, group, ("aws:autoscaling/schedule:Schedule",), "autoscalingGroupName")
    ess = _of(
        stack, group, ("alicloud:ess/scheduledTask:ScheduledTask", "alicloud:ess/schedule:Schedule"), "scalingGroupId"
    )
    return any(one.get("maxSize") == 0 and one.get("recurrence") for one in aws) or any(
        one.get("maxValue") == 0 and one.get("recurrenceType") and one.get("taskEnabled") is not False for one in ess
    )


def _ends_by_demand(stack: Stack, group: Resource) -> bool:
    """A policy that goes to no nodes, or down with demand."""
    for policy in _of(stack, group, ("aws:autoscaling/policy:Policy",), "autoscalingGroupName"):
        tracking = policy.get("targetTrackingConfiguration")
        if isinstance(tracking, dict) and tracking.get("disableScaleIn") is not True:
            return True
        exact = policy.get("adjustmentType") == "ExactCapacity"
        if exact and any(step.get("scalingAdjustment") == 0 for step in policy.items("stepAdjustments")):
            return True
    for rule in _of(stack, group, ("alicloud:ess/scalingRule:ScalingRule",), "scalingGroupId"):
        if rule.get("scalingRuleType") == "TargetTrackingScalingRule" and rule.get("disableScaleIn") is not True:
            return True
        if rule.get("adjustmentType") == "TotalCapacity" and rule.get("adjustmentValue") == 0:
            return True
        if rule.get("adjustmentType") == "QuantityChangeInCapacity" and (rule.get("adjustmentValue") or 0) < 0:
            return True
    return False


GPU_WITHOUT_END = StackRule(
    "gpu-without-end", "Outside production every GPU has a schedule or a scale-in to none.", gpu_without_end
)
