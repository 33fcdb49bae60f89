"""How much slower than expected somebody speaks: a running mean that one strange clip does not move."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Nobody speaks more than four times slower or faster than a text of that length is usually spoken: whatever is beyond
# was not speech, or not all of the text.
FURTHEST = math.log(4)
_PARENT_WEIGHT = 1.0  # what is known of others counts as much as one clip
_SPREAD = 0.22  # that is expected before anything was heard: a quarter, as a factor
_SPREAD_WEIGHT = 3.0
# A clip counts as if it were no further from what was expected than three times the usual distance, within limits: a
# voice of 0.6 or 1.6 times the usual pace (log 0.5) is learned at its first clip, one of eight times never.
_LEAST_REACH, _MOST_REACH = 0.2, 0.66


@dataclass(slots=True)
class Pace:
    """`mean`: of log(heard / prior) over about the last `memory` clips. `spread`: how far a clip was from what was
    expected of it, on average.
    """

    memory: float
    mean: float = 0.0
    weight: float = 0.0
    spread: float = _SPREAD

    def value(self, parent: float) -> float:
        """What to expect, as a logarithm, while `parent` is expected of those like it."""
        return (self.weight * self.mean + _PARENT_WEIGHT * parent) / (self.weight + _PARENT_WEIGHT)

    def learn(self, heard: float, weight: float, parent: float) -> None:
        """`heard`: log(heard / prior) of a clip that counts for `weight` (0-1) clips."""
        expected = self.value(parent)
        reach = min(_MOST_REACH, max(_LEAST_REACH, 3 * self.spread))
        distance = min(reach, max(-reach, heard - expected))
        spread_weight = self.weight + _SPREAD_WEIGHT
        self.spread = (spread_weight * self.spread + weight * abs(distance)) / (spread_weight + weight)
        # the first clip of all is not held against a mean that says nothing
        self.mean = (self.weight * self.mean + weight * (expected + distance)) / (self.weight + weight)
        self.weight = min(self.memory, self.weight + weight)
