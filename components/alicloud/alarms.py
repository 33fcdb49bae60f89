"""What a person should be told of, or the group act on: every alarm of CloudMonitor as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.alicloud.timing import USUAL_COLD_START_SECONDS

# A node counts as idle below this part of a minute; an engine's own housekeeping is less.
IDLE_BUSY = 0.01
# Server errors a second that one unlucky client can make: one in ten seconds.
FEW_ERRORS = 0.1
# So many jobs that wait are more than the nodes that are there take on within the queue's own period.
BACKLOG_JOBS = 20
# The queue's own figures come every five minutes, the load balancer's and the nodes' every one.
QUEUE_PERIOD = 300
PERIOD = 60
# Up to so many periods of a minute an alarm counts; for longer times it looks at periods of five.
MOST_MINUTES = 180
# How long jobs may wait with no node working on any before it is not the morning's beginning any more.
STUCK_MINUTES = 25
UNHEALTHY_MINUTES = 10
# Two nodes that come up at their slowest, one after the other, and finish; a large fleet takes longer, and is told so.
ROLL_MINUTES = 60


@dataclass(frozen=True)
class Watched:
    """What the alarms look at, by the names that CloudMonitor has for it."""

    region: str
    account: str
    fleet: str
    metric_group: pulumi.Input[str]
    queue: pulumi.Input[str]
    dead_letters: pulumi.Input[str]
    load_balancer: pulumi.Input[str]


@dataclass(frozen=True)
class Metric:
    """A figure: where it is, and what of its values in one period counts (Value: the service has one alone)."""

    namespace: str
    name: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str
    period: int


@dataclass(frozen=True)
class Condition:
    metric: Metric
    comparison: str
    threshold: float


@dataclass(frozen=True)
class Alarm:
    """Goes off when all `conditions`, of one namespace and one thing, were so in `times` periods one after another.

    No figure is no alarm: a fleet of no nodes reports nothing, and that is how it should be. `tells`: a person is told;
    `rule`: what the group does, "wake" or "grow".
    """

    name: str
    text: str
    conditions: tuple[Condition, ...]
    times: int
    tells: bool = True
    rule: str | None = None


def alarms(watched: Watched, idle_minutes: int) -> tuple[Alarm, ...]:
    """All of a stack. `idle_minutes`: how long no node may have anything to do before somebody is told."""
    idle_period = PERIOD if idle_minutes <= MOST_MINUTES else QUEUE_PERIOD
    nobody_works = Condition(queued(watched, watched.queue, "InactiveMessages"), "<", 1)
    jobs_wait = Condition(queued(watched, watched.queue), ">=", 1)
    return (
        Alarm(
            "job-without-a-node",
            "Jobs wait, and no node works on any: one is started.",
            (jobs_wait, nobody_works),
            times=1,
            tells=False,
            rule="wake",
        ),
        Alarm(
            "caller-without-a-node",
            "Callers were turned away for want of a node: one is started.",
            (Condition(balanced(watched, "LoadBalancerHTTPCode503"), ">", 0),),
            times=1,
            tells=False,
            rule="wake",
        ),
        Alarm(
            "backlog",
            "More jobs wait than the nodes that are there take on: one more is started.",
            (Condition(queued(watched, watched.queue), ">=", BACKLOG_JOBS),),
            times=1,
            tells=False,
            rule="grow",
        ),
        Alarm(
            "idle-gpus",
            f"No node spoke for {idle_minutes} minutes. Nodes above nodes.min are released; lower nodes.min, or set a "
            "schedule, where the others are too many.",
            (Condition(reported(watched, "BusyFraction", "Maximum", idle_period), "<", IDLE_BUSY),),
            times=math.ceil(idle_minutes * 60 / idle_period),
        ),
        Alarm(
            "dead-letters",
            "Jobs failed on every node that tried them. Look at them in the dead-letter queue and send them back, or "
            "delete them.",
            (Condition(queued(watched, watched.dead_letters), ">=", 1),),
            times=1,
        ),
        Alarm(
            "stuck-jobs",
            f"Jobs wait for {STUCK_MINUTES} minutes, and no node works on any. Look why nodes do not come up: at the "
            "scaling group's activities, and at the store boot of the log project.",
            (jobs_wait, nobody_works),
            times=STUCK_MINUTES * 60 // QUEUE_PERIOD,
        ),
        Alarm(
            "server-errors",
            "Requests end in errors of the server. Look at the store server of the log project.",
            (Condition(balanced(watched, "LoadBalancerHTTPCodeUpstream5XX"), ">", FEW_ERRORS),),
            times=3,
        ),
        Alarm(
            "unanswered",
            "Requests reach no node, or get no answer in time. Look at the nodes, and at the store alb_access of the "
            "log project.",
            (Condition(balanced(watched, "LoadBalancerHTTPCode5XX"), ">", FEW_ERRORS),),
            times=5,
        ),
        Alarm(
            "no-healthy-node",
            f"There are nodes, and for {UNHEALTHY_MINUTES} minutes none was ready to speak. Look at the stores server "
            "and boot of the log project.",
            (
                Condition(balanced(watched, "LoadBalancerUnHealthyHostCount"), ">=", 1),
                Condition(balanced(watched, "LoadBalancerHealthyHostCount"), "<", 1),
            ),
            times=UNHEALTHY_MINUTES,
        ),
        Alarm(
            "stuck-roll",
            f"For {ROLL_MINUTES} minutes a node of an older launch template serves, and none of the new one took its "
            "place. Look at the scaling group's activities, and at the stores boot and server of the log project; or "
            "go back to the former image.",
            (Condition(reported(watched, "Outdated", "Maximum"), ">=", 1),),
            times=ROLL_MINUTES,
        ),
        Alarm(
            "cold-start",
            f"A node took more than {USUAL_COLD_START_SECONDS} s from its boot to its first word. Look at the store "
            "boot of the log project.",
            (Condition(reported(watched, "ColdStartSeconds", "Maximum"), ">=", USUAL_COLD_START_SECONDS),),
            times=1,
        ),
    )


def queued(watched: Watched, queue: pulumi.Input[str], name: str = "ActiveMessages") -> Metric:
    """Messages that wait in a queue (ActiveMessages), or that somebody works on (InactiveMessages).

    The queue's service tells them with no node running too.
    """
    dimensions = {"userId": watched.account, "region": watched.region, "queue": queue}
    return Metric("acs_mns_new", name, dimensions, "Maximum", QUEUE_PERIOD)


def balanced(watched: Watched, name: str) -> Metric:
    """A figure of the load balancer: answers of one kind a second, or nodes that are well or not:
    https://www.alibabacloud.com/help/en/slb/application-load-balancer/alb-monitoring-metrics"""
    dimensions = {"userId": watched.account, "loadBalancerId": watched.load_balancer}
    return Metric("acs_alb", name, dimensions, "Value", PERIOD)


def reported(watched: Watched, name: str, statistic: str, period: int = PERIOD) -> Metric:
    """What the nodes report themselves (`node/report.py`)."""
    dimensions = {"groupId": watched.metric_group, "fleet": watched.fleet}
    return Metric(f"acs_customMetric_{watched.account}", name, dimensions, statistic, period)
