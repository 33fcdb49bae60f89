"""What is to be done with an update once it was asked to speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Verdict:
    """`keep` the update, go `back` to `image`, or `stop` where there is no way back. `reason` is for a person."""

    step: Literal["keep", "back", "stop"]
    reason: str
    image: str | None = None


def decide(before: object, after: object, failure: str | None) -> Verdict:
    """`before` and `after` are the stack's outputs `image` around the update, `failure` is why it does not speak."""
    if failure is None:
        return Verdict("keep", "the update speaks")
    if not isinstance(before, str) or "@sha256:" not in before:
        return Verdict("stop", f"the update does not speak ({failure}), and no image was deployed before it")
    if before == after:
        return Verdict("stop", f"the update does not speak ({failure}), and it is not the image: that did not change")
    return Verdict("back", f"the update does not speak ({failure}); going back to {before}", before)
