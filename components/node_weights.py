"""How a node of any cloud gets the model's weights: what it is told, and what it runs before its server."""

from __future__ import annotations

from components.server_environment import WEIGHTS_FOLDER
from components.settings.engine import NO_SOURCE, WeightsSettings

# What a node may take to bring about 9 GB from a hub into an empty bucket and onto its disk, beside everything else of
# its start: 5 MB/s, where a NAT gateway's or a hub's link gives no more. It happens once in the life of a bucket.
FIRST_FILL_SECONDS = 1800


def may_fill(weights: WeightsSettings) -> bool:
    """Whether the first node brings the weights from a hub where the bucket has none."""
    return weights.name is not None and weights.source != NO_SOURCE


def weights_environment(weights: WeightsSettings, store: str) -> dict[str, str]:
    """What `speech_server.node sync-weights` is told; nothing of an engine without weights. `store`: the bucket."""
    if weights.name is None:
        return {}
    mirror = f"?endpoint={weights.endpoint}" if weights.endpoint else ""
    source = {"SPEECH_WEIGHTS_SOURCE": f"{weights.source}{mirror}"} if may_fill(weights) else {}
    return {
        "SPEECH_STORE": store,
        "SPEECH_WEIGHTS": weights.name,
        "SPEECH_WEIGHTS_DIR": WEIGHTS_FOLDER,
        **source,
    }
