"""The time limits of a request's and a node's life on Alibaba Cloud, which only make sense together and with the
server's own.

A synthesis ends before the load balancer gives up on it; a node that goes away is given that long and a little more to
finish what it speaks; the group waits for the node that long and a little more again.
"""

from __future__ import annotations

from components.node_weights import FIRST_FILL_SECONDS, may_fill
from components.settings.engine import WeightsSettings

# What a listener waits for a node's answer, and for a silent connection; both at their longest:
# https://www.alibabacloud.com/help/en/slb/application-load-balancer/developer-reference/api-alb-2020-06-16-createlistener
REQUEST_TIMEOUT_SECONDS = 600
IDLE_TIMEOUT_SECONDS = 600
# The longest synthesis that a client may wait for on one connection, after its wait in the lane; longer texts are for
# jobs. On a T4, where IndexTTS2 takes about 1.2 s a character, these are 450 characters.
LONGEST_SYNTHESIS_SECONDS = 540
# The time in which a node that leaves the load balancer may finish (at most 900).
DRAIN_CONNECTIONS_SECONDS = 700
# The server's container is killed after this; the group waits for the node's own word until the last.
STOP_SECONDS = 690
DRAIN_HOOK_SECONDS = 900

# Worst case from launch to a warm engine: packages, image, weights, 131 s of model loading on a T4. A node that did not
# say in this time that it is ready is given up, and another one started.
WARM_HOOK_SECONDS = 1200
# What a node's server may take until it starts to load: the image and the weights, both from far away.
START_SECONDS = 1800 + FIRST_FILL_SECONDS
# What a cold start takes when nothing is wrong; the alarm asks above it.
USUAL_COLD_START_SECONDS = 480

# A node is taken out of rotation, and replaced, after 15 s x 10 = 150 s: longer than an engine that died takes to load
# its model again (131 s on a T4), else one bad clip would cost a node. Ten is the most that there is.
HEALTH_INTERVAL_SECONDS = 15
HEALTH_TIMEOUT_SECONDS = 5
UNHEALTHY_AFTER = 10
HEALTHY_AFTER = 2


def warm_hook_seconds(weights: WeightsSettings) -> int:
    """How long the group waits for a new node's first word: a start's worst, and the filling of an empty bucket."""
    return WARM_HOOK_SECONDS + (FIRST_FILL_SECONDS if may_fill(weights) else 0)
