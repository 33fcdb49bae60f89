"""How much of a card the engine takes: all that makes it fast, or what a small or shared one has room for."""

from __future__ import annotations

from dataclasses import dataclass

# A card of less than this in total runs in low-memory mode by itself. Version 2.5 peaks at 6.0 GB in fp32 (README of
# indextts25-inference 0.2.0), version 2 in fp16 has 5.1 GB of weights and needs a good GB to speak; the text-emotion
# model takes 1.2 GB and the CUDA context about half a GB. That is 8 GB, and a long segment more: too much for a card of
# 8 GB, and for one of 10 GB that draws a screen as well. With 11 GB and more everything fits: a T4 has 16.
_ENOUGH = 10 << 30
_WARM_BYTES = 256 << 20
_LOW_WARM_BYTES = 16 << 20  # a voice with its emotion is 9 MB at most, its emotion from another sample included


@dataclass(frozen=True)
class Footprint:
    """`low`: the text-emotion model on the CPU, short segments, half precision if the card really has it, one warm
    voice. `why` is for the log, empty if nothing is out of the ordinary.
    """

    low: bool
    why: str
    warm_bytes: int


def choose_footprint(low_memory: bool | None, card_bytes: int, warm_bytes: int | None) -> Footprint:
    """`low_memory` and `warm_bytes` as the operator set them, None if not; `card_bytes`: all memory of the GPU, 0 for
    the CPU.
    """
    if low_memory is not None:
        low, why = low_memory, "as set" if low_memory else ""
    else:
        low = 0 < card_bytes < _ENOUGH
        why = f"the card has {card_bytes / (1 << 30):.1f} GiB, and everything needs {_ENOUGH >> 30}" if low else ""
    if warm_bytes is None:
        warm_bytes = _LOW_WARM_BYTES if low else _WARM_BYTES
    return Footprint(low, why, warm_bytes)
