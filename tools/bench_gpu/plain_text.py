"""Stand-ins for the Chinese and English text normalisers, for a machine on which they cannot be installed.

WeTextProcessing and its pynini are 220 MB of wheels. What the GPU does depends on them by a few tokens only.
"""

from __future__ import annotations

import sys
from types import ModuleType


class _AsItIs:
    """Takes the place of `tn.chinese.normalizer.Normalizer` and `tn.english.normalizer.Normalizer`."""

    def __init__(self, **_: object) -> None:
        pass

    def normalize(self, text: str) -> str:
        return text


def install() -> None:
    """Have every later import of `tn` find the stand-ins."""
    for name in ("tn", "tn.chinese", "tn.chinese.normalizer", "tn.english", "tn.english.normalizer"):
        module = ModuleType(name)
        module.__path__ = []
        if name.endswith(".normalizer"):
            module.Normalizer = _AsItIs  # ty: ignore[missing-attribute]
        sys.modules[name] = module
