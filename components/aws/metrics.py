"""The figures that AWS and the nodes report, by their names in CloudWatch, and arithmetic on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.aws.user_data import NAMESPACE


@dataclass(frozen=True)
class Metric:
    """One figure a minute; `stat` says what becomes of several nodes' reports."""

    namespace: str
    name: str
    dimensions: Mapping[str, pulumi.Input[str]]
    stat: str


@dataclass(frozen=True)
class Query:
    """A metric, or an expression on the queries of other ids."""

    id: str
    metric: Metric | None = None
    expression: str | None = None


def busy(fleet: str) -> Metric:
    """The part of the last minute, 0 to 1, in which a node's engine spoke."""
    return Metric(NAMESPACE, "BusyFraction", {"Fleet": fleet}, "Average")


def busiest(fleet: str) -> Metric:
    """The same of the node that had the most to do."""
    return Metric(NAMESPACE, "BusyFraction", {"Fleet": fleet}, "Maximum")


def work(fleet: str) -> Metric:
    """Seconds of synthesis that wait in a node: queued seconds of audio x measured real-time factor."""
    return Metric(NAMESPACE, "WorkSeconds", {"Fleet": fleet}, "Average")


def clip_work(fleet: str) -> Metric:
    """Seconds of synthesis that a clip took lately."""
    return Metric(NAMESPACE, "ClipWorkSeconds", {"Fleet": fleet}, "Average")


def cold_start(fleet: str) -> Metric:
    """Seconds from a node's launch to a warm engine, once a node."""
    return Metric(NAMESPACE, "ColdStartSeconds", {"Fleet": fleet}, "Maximum")


def gpu(fleet: str, measurement: str) -> Metric:
    """What the CloudWatch agent reads off the GPU: utilization_gpu (%), memory_used (MiB), temperature_gpu."""
    return Metric(NAMESPACE, f"nvidia_smi_{measurement}", {"Fleet": fleet}, "Average")


def group(fleet: str, name: str) -> Metric:
    """A count of the Auto Scaling group: GroupInServiceInstances, GroupDesiredCapacity."""
    return Metric("AWS/AutoScaling", name, {"AutoScalingGroupName": fleet}, "Average")


def visible(queue_name: pulumi.Input[str]) -> Metric:
    """Messages that wait in a queue; reported with no node running too."""
    return Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": queue_name}, "Maximum")


def oldest(queue_name: pulumi.Input[str]) -> Metric:
    """Age of a queue's oldest message, seconds."""
    return Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": queue_name}, "Maximum")


def balancer(load_balancer: pulumi.Input[str], name: str, stat: str = "Sum") -> Metric:
    """A figure of the load balancer, which is named by its ARN's suffix."""
    return Metric("AWS/ApplicationELB", name, {"LoadBalancer": load_balancer}, stat)


def healthy_nodes(load_balancer: pulumi.Input[str], target_group: pulumi.Input[str]) -> Metric:
    """Nodes that the load balancer sends requests to."""
    dimensions = {"LoadBalancer": load_balancer, "TargetGroup": target_group}
    return Metric("AWS/ApplicationELB", "HealthyHostCount", dimensions, "Minimum")
