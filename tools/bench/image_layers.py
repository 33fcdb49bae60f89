"""The layers of an image, read from what Docker prints of it, and what the project holds its own layers to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1 << 20
# What every commit ships, and every node of a fleet then pulls.
CODE_LIMIT = 3 * MIB
CPU_PACKAGES_LIMIT = 320 * MIB

# What to ask Docker, before the image's name.
SIZES = ("history", "--human=false", "--format={{.Size}}")
DIGESTS = ("image", "inspect", "--format={{json .RootFS.Layers}}")
# An archive without a file, which BuildKit makes of a WORKDIR that is there already. Every registry has it.
_EMPTY = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


@dataclass(frozen=True)
class Layer:
    """`digest`: of its content, uncompressed; `size`: bytes of its files."""

    digest: str
    size: int


def sizes(history: str) -> list[int]:
    """Bytes of each layer that holds something, the topmost first; from the answer to SIZES."""
    return [int(line) for line in history.split() if line != "0"]


def layers(history: str, digests: str) -> list[Layer]:
    """The layers that hold something, the topmost first; from the answers to SIZES and DIGESTS.

    Raises ValueError if the two do not tell of as many layers.
    """
    found = [digest for digest in reversed(json.loads(digests)) if digest != _EMPTY]
    measured = sizes(history)
    if len(found) != len(measured):
        raise ValueError(f"{len(found)} layers that hold something, but {len(measured)} steps that made one")
    return [Layer(digest, size) for digest, size in zip(found, measured, strict=True)]


def shipped(before: Sequence[Layer], after: Sequence[Layer]) -> list[Layer]:
    """What one who has `before` still has to fetch for `after`, the topmost first."""
    there = {layer.digest for layer in before}
    return [layer for layer in after if layer.digest not in there]
