"""What was measured of one way to run the model, and the table that it becomes in docs/engine.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_GIGABYTE = 1e9
_HEAD = (
    "version, package",
    "precision",
    "load",
    "memory loaded / peak",
    "new voice",
    "known voice",
    "text of several segments",
    "cancelled within",
    "generation / diffusion / vocoder",
    "engine's own work",
)


@dataclass(frozen=True)
class Speech:
    """`seconds` that `audio_seconds` took in `segments`, the first of which was there after `first_seconds`."""

    seconds: float
    audio_seconds: float
    segments: int
    first_seconds: float

    @property
    def real_time_factor(self) -> float:
        return self.seconds / self.audio_seconds


@dataclass(frozen=True)
class Figures:
    """Seconds and bytes. `own_seconds`: of the long text, what was not the model's. `stages`: the model's, by stage."""

    version: str
    package: str
    precision: str
    load_seconds: float
    loaded_bytes: int
    peak_bytes: int
    new_voice: Speech
    known_voice: Speech
    long_text: Speech
    cancel_seconds: float
    stages: tuple[float, float, float]
    own_seconds: float


def table(figures: Sequence[Figures]) -> str:
    """GitHub's Markdown, a row for each."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + " --- |" * len(_HEAD)]
    lines.extend("| " + " | ".join(_cells(row)) + " |" for row in figures)
    return "\n".join(lines)


def to_json(figures: Figures) -> str:
    """One line, for the process that asked."""
    return json.dumps(asdict(figures))


def from_json(line: str) -> Figures:
    """What `to_json` gave."""
    values: dict[str, Any] = json.loads(line)
    for name in ("new_voice", "known_voice", "long_text"):
        values[name] = Speech(**values[name])
    values["stages"] = tuple(values["stages"])
    return Figures(**values)


def _cells(row: Figures) -> tuple[str, ...]:
    model = row.long_text.seconds - row.own_seconds
    return (
        f"{row.version}, `{row.package}`",
        row.precision,
        f"{row.load_seconds:.1f} s",
        f"{row.loaded_bytes / _GIGABYTE:.1f} / {row.peak_bytes / _GIGABYTE:.1f} GB",
        f"{row.new_voice.seconds:.2f} s",
        f"{row.known_voice.seconds:.2f} s for {row.known_voice.audio_seconds:.1f} s, {_factor(row.known_voice)}",
        f"{row.long_text.segments} in {row.long_text.seconds:.1f} s for {row.long_text.audio_seconds:.0f} s, "
        f"{_factor(row.long_text)}, first after {row.long_text.first_seconds:.2f} s",
        f"{row.cancel_seconds * 1000:.0f} ms",
        " / ".join(f"{part / model:.0%}" for part in row.stages),
        f"{row.own_seconds / row.long_text.segments * 1000:.0f} ms a segment, {row.own_seconds / model:.1%}",
    )


def _factor(speech: Speech) -> str:
    return f"RTF {speech.real_time_factor:.3f}"
