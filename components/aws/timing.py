"""The time limits of a request's and a node's life on AWS, which only make sense together and with the server's own.

A synthesis ends before the load balancer gives up on it; a node that goes away is given that long and a little more to
finish what it speaks; the group waits for the node that long and a little more again.
"""

from __future__ import annotations

from components.node_weights import FIRST_FILL_SECONDS, may_fill
from components.settings.engine import WeightsSettings

# The longest synthesis that a client may wait for on one connection; longer texts are for jobs. On a T4, where
# IndexTTS2 takes about 1.2 s a character, these are 500 characters.
LONGEST_SYNTHESIS_SECONDS = 600

# The load balancer's idle timeout (at most 4000) and the time in which a node that leaves it may finish (at most 3600).
IDLE_TIMEOUT_SECONDS = 690
DEREGISTRATION_SECONDS = 700
# The server lets go of what is not finished after DRAIN_SECONDS; its container is killed after the next; the group
# waits for the node's own word until the last.
STOP_SECONDS = 690
TERMINATION_HOOK_SECONDS = 900

# Worst case from launch to a warm engine: lazy volume blocks, image, weights, 131 s of model loading on a T4.
COLD_START_SECONDS = 900
# What a node's server may take until it starts to load: the image and the weights, both from far away.
START_SECONDS = 1800 + FIRST_FILL_SECONDS
# What a cold start takes when nothing is wrong; the alarm asks above it.
USUAL_COLD_START_SECONDS = 480

# A node is taken out of rotation, and replaced, after 15 s x 10 = 150 s: longer than an engine that died takes to load
# its model again (131 s on a T4), else one bad clip would cost a node.
HEALTH_INTERVAL_SECONDS = 15
HEALTH_TIMEOUT_SECONDS = 5
UNHEALTHY_AFTER = 10
HEALTHY_AFTER = 2


def grace_seconds(weights: WeightsSettings) -> int:
    """How long the group waits for a new node's first word: a start's worst, and the filling of an empty bucket."""
    return COLD_START_SECONDS + (FIRST_FILL_SECONDS if may_fill(weights) else 0)
