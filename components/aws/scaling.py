"""How many nodes there should be: the figure that the group follows, and its policies.

The figure is the work that a node has and gets, in nodes: the part of the time in which it speaks, and the waiting
seconds of synthesis (seconds of audio x measured real-time factor) spread over the time in which they are to be done.
A count of requests cannot tell a line of two seconds from a page of ten minutes; docs/scaling.md has the comparison.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws
from pulumi_aws.autoscaling import (
    PolicyTargetTrackingConfigurationCustomizedMetricSpecificationArgs as SpecificationArgs,
)
from pulumi_aws.autoscaling import (
    PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricArgs as QueryArgs,
)
from pulumi_aws.autoscaling import (
    PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricMetricStatArgs as StatArgs,
)
from pulumi_aws.autoscaling import (
    PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricMetricStatMetricArgs as MetricArgs,
)
from pulumi_aws.autoscaling import (
    PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricMetricStatMetricDimensionArgs as DimensionArgs,
)

from components.aws import metrics
from components.aws.metrics import Query
from components.aws.timing import USUAL_COLD_START_SECONDS

# What a node should have to do, 1 being all that it can. tools/bench/scaling_day.py compares values.
TARGET_DEMAND = 0.7
# Waiting work is to be done within this time: less than a new node takes to come would start nodes that come too late.
CLEAR_SECONDS = 900
# A clip's synthesis, seconds, until nodes have reported their own.
ASSUMED_CLIP_SECONDS = 30


def demand(busy: float, work: float, visible: float, clip: float, nodes: float) -> float:
    """The figure for plain numbers: averages over the nodes of the busy part (0-1) and the waiting work (seconds),
    messages in the queue, seconds of work in one, nodes in service."""
    return busy + (work + visible * clip / max(nodes, 1)) / CLEAR_SECONDS


def demand_queries(fleet: str, queue_name: pulumi.Input[str]) -> tuple[Query, ...]:
    """The same in CloudWatch; the last one is the figure. What is not reported counts as nothing."""
    return (
        Query("busy", metrics.busy(fleet)),
        Query("work", metrics.work(fleet)),
        Query("clip", metrics.clip_work(fleet)),
        Query("visible", metrics.visible(queue_name)),
        Query("nodes", metrics.group(fleet, "GroupInServiceInstances")),
        Query("share", expression="FILL(visible,0) / IF(FILL(nodes,0) > 1, FILL(nodes,0), 1)"),
        Query(
            "demand",
            expression=(f"FILL(busy,0) + (FILL(work,0) + share * FILL(clip,{ASSUMED_CLIP_SECONDS})) / {CLEAR_SECONDS}"),
        ),
    )


def follow_demand(
    name: str, fleet: str, queue_name: pulumi.Input[str], group: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> aws.autoscaling.Policy:
    """Adds nodes within minutes of more demand, and takes them away after a quarter of an hour of less."""
    queries = demand_queries(fleet, queue_name)
    return aws.autoscaling.Policy(
        f"{name}-demand",
        autoscaling_group_name=group,
        policy_type="TargetTrackingScaling",
        estimated_instance_warmup=USUAL_COLD_START_SECONDS,
        target_tracking_configuration=aws.autoscaling.PolicyTargetTrackingConfigurationArgs(
            target_value=TARGET_DEMAND,
            customized_metric_specification=SpecificationArgs(
                metrics=[_tracked(query, query is queries[-1]) for query in queries]
            ),
        ),
        opts=opts,
    )


def wake(name: str, group: pulumi.Input[str], opts: pulumi.ResourceOptions) -> aws.autoscaling.Policy:
    """Adds the first node; an alarm calls it, because a share of no nodes cannot be followed."""
    return _step(f"{name}-wake", group, "ChangeInCapacity", 1, opts)


def release(name: str, group: pulumi.Input[str], least: int, opts: pulumi.ResourceOptions) -> aws.autoscaling.Policy:
    """Goes back to the least number of nodes at once; the alarm of idle nodes calls it."""
    return _step(f"{name}-release", group, "ExactCapacity", least, opts)


def _step(
    name: str, group: pulumi.Input[str], adjustment: str, nodes: int, opts: pulumi.ResourceOptions
) -> aws.autoscaling.Policy:
    return aws.autoscaling.Policy(
        name,
        autoscaling_group_name=group,
        policy_type="StepScaling",
        adjustment_type=adjustment,
        # A node that boots counts as there, so that an alarm that goes on adds no other.
        estimated_instance_warmup=USUAL_COLD_START_SECONDS,
        step_adjustments=[
            aws.autoscaling.PolicyStepAdjustmentArgs(scaling_adjustment=nodes, metric_interval_lower_bound="0")
        ],
        opts=opts,
    )


def _tracked(query: Query, figure: bool) -> QueryArgs:
    if query.metric is None:
        return QueryArgs(id=query.id, expression=query.expression, return_data=figure)
    dimensions = [DimensionArgs(name=name, value=value) for name, value in query.metric.dimensions.items()]
    metric = MetricArgs(namespace=query.metric.namespace, metric_name=query.metric.name, dimensions=dimensions)
    return QueryArgs(id=query.id, metric_stat=StatArgs(stat=query.metric.stat, metric=metric), return_data=figure)
