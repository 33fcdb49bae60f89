"""Waiting until the new nodes have taken the old ones' place, so that the smoke request is answered by the new ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html
_AT_WORK = ("Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking")
_DONE = "Successful"
SECONDS = 3600
SECONDS_BETWEEN = 15


def wait_aws(
    autoscaling: Any,
    fleet: str,
    tell: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str | None:
    """Waits for the group's newest instance refresh; gives why it failed, None when it did not or there is none.

    `autoscaling` is boto3's client. A refresh takes a cold start for each node, so up to an hour is waited.
    """
    deadline = clock() + SECONDS
    while True:
        found = autoscaling.describe_instance_refreshes(AutoScalingGroupName=fleet, MaxRecords=1)["InstanceRefreshes"]
        if not found or found[0]["Status"] == _DONE:
            return None
        status, done = found[0]["Status"], found[0].get("PercentageComplete", 0)
        if status not in _AT_WORK:
            reason = found[0].get("StatusReason", "no reason given")
            return f"the new nodes did not take over: {status}: {reason}"
        if clock() > deadline:
            return f"the new nodes have not taken over after {SECONDS // 60} minutes ({status}, {done} %)"
        tell(f"    new nodes: {status}, {done} %")
        sleep(SECONDS_BETWEEN)
