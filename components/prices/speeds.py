"""How fast an engine speaks on a GPU: real-time factors that were published. What is not here is not known."""

from __future__ import annotations

from dataclasses import dataclass

from components.prices.figures import Figure

_UNIT = "s of synthesis a second of audio"
# Its table of the official engine, IndexTTS 2.5: four long Chinese passages, twelve runs each.
_WINDEXTTS = "https://github.com/baicai-1145/WIndexTTS/blob/034767058b759f0dfdeb390595307947ae88d158/README.md"


@dataclass(frozen=True)
class Engine:
    """As the stack's settings name it; `version` and `precision` are "" where they do not."""

    name: str
    version: str = ""
    precision: str = ""


REAL_TIME_FACTORS: dict[tuple[str, Engine], Figure] = {
    ("A10G", Engine("indextts2", "2.5", "fp32")): Figure(0.62, _UNIT, _WINDEXTTS, "2026-08-22"),
    ("A10G", Engine("indextts2", "2.5", "bf16")): Figure(0.68, _UNIT, _WINDEXTTS, "2026-08-22"),
}


def real_time_factor(gpu: str, engine: Engine) -> Figure | None:
    """Seconds of synthesis for one second of audio; None when nobody has published it."""
    return REAL_TIME_FACTORS.get((gpu, engine))
