"""Where the time of a loaded engine goes: clocks around the package's own calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

STAGES = ("generation", "diffusion", "vocoder")


@dataclass
class Clocks:
    """Seconds since the last `clear()`: `model`, all of the package's work on segments, and its stages."""

    model: float = 0.0
    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    def clear(self) -> None:
        self.model = 0.0
        self.stages = dict.fromkeys(STAGES, 0.0)


def clocked(tts: Any, finish: Callable[[], None]) -> Clocks:
    """Puts clocks into a package's IndexTTS2 object; `finish` waits for what the GPU still has to do."""
    clocks = Clocks()
    generate = tts.infer_generator

    def infer_generator(*arguments: Any, **named: Any) -> Iterator[Any]:
        began = time.perf_counter()
        try:
            pieces = list(generate(*arguments, **named))
        finally:
            clocks.model += time.perf_counter() - began
        return iter(pieces)

    def stage(name: str, owner: Any, method: str) -> None:
        inner = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            finish()
            began = time.perf_counter()
            try:
                result = inner(*arguments, **named)
                finish()
                return result
            finally:
                clocks.stages[name] += time.perf_counter() - began

        setattr(owner, method, timed)

    tts.infer_generator = infer_generator
    stage("generation", tts.gpt, "inference_speech")
    stage("diffusion", tts.s2mel.models["cfm"], "inference")
    stage("vocoder", tts.bigvgan, "forward")
    return clocks
