"""What a person should be told of, or a group act on: every alarm as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi

from components.aws import metrics
from components.aws.metrics import Metric, Query
from components.aws.timing import COLD_START_SECONDS, USUAL_COLD_START_SECONDS

# A node counts as idle below this part of a minute; an engine's own housekeeping is less.
IDLE_BUSY = 0.01
# Server errors that one unlucky client can make, and the share of all requests above which something is broken.
FEW_ERRORS = 5
ERROR_SHARE = 0.05
# Spot capacity may be away for some minutes; after this there is none to wait for.
CAPACITY_MINUTES = 15
# The oldest job waits longer than a day of dubbing takes.
OLD_JOB_SECONDS = 6 * 3600


@dataclass(frozen=True)
class Watched:
    """What the alarms look at, by the names that CloudWatch has for it."""

    fleet: str
    queue: pulumi.Input[str]
    dead_letters: pulumi.Input[str]
    load_balancer: pulumi.Input[str]
    target_group: pulumi.Input[str]


@dataclass(frozen=True)
class Alarm:
    """Goes off when the last query was at or above `threshold` in `minutes` one after another.

    No figure is no alarm: a fleet of no nodes reports nothing, and that is how it should be. `tells`: a person is told;
    `action`: what the group does, "wake" or "release".
    """

    name: str
    text: str
    queries: tuple[Query, ...]
    threshold: float
    minutes: int
    tells: bool = True
    action: str | None = field(default=None)


def alarms(watched: Watched, idle_minutes: int) -> tuple[Alarm, ...]:
    """All of a stack. `idle_minutes`: how long no node may have anything to do before they are released."""
    return (
        _without_a_node(
            watched,
            "job-without-a-node",
            "Jobs wait, and no node is wanted: one is started.",
            metrics.visible(watched.queue),
        ),
        _without_a_node(
            watched,
            "caller-without-a-node",
            "Callers were turned away, and no node is wanted: one is started.",
            metrics.balancer(watched.load_balancer, "HTTPCode_ELB_503_Count"),
        ),
        _idle(watched, idle_minutes),
        Alarm(
            "dead-letters",
            "Jobs failed on every node that tried them. Look at them in the dead-letter queue and send them back, or "
            "delete them.",
            (Query("dead", metrics.visible(watched.dead_letters)),),
            threshold=1,
            minutes=1,
        ),
        Alarm(
            "old-jobs",
            f"A job waits for {OLD_JOB_SECONDS // 3600} hours. Raise nodes.max, or look why nodes do not come up.",
            (Query("age", metrics.oldest(watched.queue)),),
            threshold=OLD_JOB_SECONDS,
            minutes=5,
        ),
        _errors(
            watched,
            "server-errors",
            f"More than {ERROR_SHARE:.0%} of the requests end in an error of the server. Look at its log.",
            "HTTPCode_Target_5XX_Count",
        ),
        _errors(
            watched,
            "unanswered",
            f"More than {ERROR_SHARE:.0%} of the requests reach no node, or get no answer in time. Look at the nodes.",
            "HTTPCode_ELB_5XX_Count",
        ),
        _unhealthy(watched),
        _capacity(watched),
        Alarm(
            "cold-start",
            f"A node took more than {USUAL_COLD_START_SECONDS} s from launch to its first word. Look at the stream "
            "boot/INSTANCE of the log group.",
            (Query("cold", metrics.cold_start(watched.fleet)),),
            threshold=USUAL_COLD_START_SECONDS,
            minutes=1,
        ),
    )


def _without_a_node(watched: Watched, name: str, text: str, asking: Metric) -> Alarm:
    """Work and no node wanted; it tells nobody, for it is every morning's beginning.

    One for each kind of work: no expression has a value where a figure in it was never reported.
    """
    return Alarm(
        name,
        text,
        (
            Query("asking", asking),
            Query("wanted", metrics.group(watched.fleet, "GroupDesiredCapacity")),
            Query("waiting", expression="IF(FILL(wanted,0) < 1 AND asking > 0, 1, 0)"),
        ),
        threshold=1,
        minutes=1,
        tells=False,
        action="wake",
    )


def _idle(watched: Watched, minutes: int) -> Alarm:
    """Jobs need not be asked for: where some wait, nodes that are well are busy."""
    return Alarm(
        "idle-gpus",
        f"No node spoke for {minutes} minutes: nodes above nodes.min are released.",
        (
            Query("busiest", metrics.busiest(watched.fleet)),
            Query("idle", expression=f"IF(busiest < {IDLE_BUSY}, 1, 0)"),
        ),
        threshold=1,
        minutes=minutes,
        action="release",
    )


def _errors(watched: Watched, name: str, text: str, counted: str) -> Alarm:
    return Alarm(
        name,
        text,
        (
            Query("requests", metrics.balancer(watched.load_balancer, "RequestCount")),
            Query("errors", metrics.balancer(watched.load_balancer, counted)),
            Query(
                "broken",
                expression=f"IF(errors > {FEW_ERRORS} AND errors > {ERROR_SHARE} * FILL(requests,0), 1, 0)",
            ),
        ),
        threshold=1,
        minutes=3,
    )


def _unhealthy(watched: Watched) -> Alarm:
    """A node is in service from its launch, and well only once it is warm."""
    minutes = COLD_START_SECONDS // 60 + 5
    return Alarm(
        "no-healthy-node",
        f"There are nodes, and for {minutes} minutes none was ready to speak. Look at the streams boot/INSTANCE and "
        "server/INSTANCE of the log group.",
        (
            Query("nodes", metrics.group(watched.fleet, "GroupInServiceInstances")),
            Query("healthy", metrics.healthy_nodes(watched.load_balancer, watched.target_group)),
            Query("none", expression="IF(nodes > 0 AND FILL(healthy,0) < 1, 1, 0)"),
        ),
        threshold=1,
        minutes=minutes,
    )


def _capacity(watched: Watched) -> Alarm:
    return Alarm(
        "no-capacity",
        f"Nodes are wanted and did not come for {CAPACITY_MINUTES} minutes: AWS has no such instance now, or the quota "
        "is used up. Add instanceTypes or zones, raise nodes.onDemandBase, or ask for quota.",
        (
            Query("wanted", metrics.group(watched.fleet, "GroupDesiredCapacity")),
            Query("nodes", metrics.group(watched.fleet, "GroupInServiceInstances")),
            Query("missing", expression="wanted - FILL(nodes,0)"),
        ),
        threshold=1,
        minutes=CAPACITY_MINUTES,
    )
