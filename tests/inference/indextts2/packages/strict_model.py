"""What the stand-ins for index-tts and indextts25-inference share: the model's real faults, and sound to measure.

- Two calls at once raise. A voice and an emotion are kept under the path that they came from, read once.
- With gradients on, what a voice leaves behind is kept with its graph: 2 GiB for each, until memory is out.
- The length of a segment is random: 40 to 60 ms a token, and 22,050 samples a second. Its pitch is the voice's (from
  the file's content), its loudness the emotion's (0.2 without one), and it has silence around it.
- A parameter that transformers does not know raises ValueError, once generation begins.
- A text without a letter gives noise, an empty one raises.
- `faults` makes the rest happen: memory that runs out above a size, a call that hangs, runs away, or is cancelled.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

SAMPLE_RATE = 22_050
_GRAPH_BYTES = 2 << 30
_VOICE_BYTES = 6 << 20
_TRANSFORMERS_PARAMETERS = frozenset({"stopping_criteria", "min_new_tokens", "logits_processor", "num_beam_groups"})


@dataclass
class Faults:
    """`most_beam_tokens`: text tokens times beams that memory suffices for. `calls` and `heard` are what happened."""

    most_beam_tokens: int = 10**9
    hang: bool = False
    hang_in: Callable[[str], None] | None = None  # called with the stage: gpt, diffusion, vocoder, listening
    ends_at_once: bool = False  # the first token is the last one, unless that is forbidden
    raises: Exception | None = None  # instead of generating
    runaway_above: int = 10**9  # text tokens from which generation finds no end
    calls: list[dict[str, Any]] = field(default_factory=list)
    listened: list[str] = field(default_factory=list)  # paths, each time that one is really listened to
    mixed: list[float] = field(default_factory=list)  # how strong, each time that a voice and an emotion are mixed


faults = Faults()


def pitch_of(content: bytes) -> float:
    """Hz of the tone that stands for a voice."""
    return 300.0 + int(hashlib.sha256(content).hexdigest()[:4], 16) % 700


class Stage(torch.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __call__(self, *arguments: Any) -> None:
        if faults.hang_in is not None:
            faults.hang_in(self._name)
        super().__call__(*arguments)


class Listening(torch.Module):
    """Draws a random number in each layer and uses none, as transformers' Wav2Vec2BertModel does (layerdrop)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SimpleNamespace(layers=[Stage("listening") for _ in range(17)])

    def forward(self, *arguments: Any) -> None:
        for layer in self.encoder.layers:
            torch.generator.random()
            layer(*arguments)


class StrictModel:
    """The stages and their faults; a subclass has the version's signatures and its cache."""

    def __init__(self, cfg_path: str, model_dir: str, device: str | None) -> None:
        assert Path(cfg_path) == Path(model_dir) / "config.yaml"
        assert os.environ.get("HF_HUB_OFFLINE") == "1", "the engine must not go to the network"
        assert device is not None
        self.device = device
        self._busy = threading.Lock()
        self.semantic_model = Listening()
        self.s2mel = SimpleNamespace(models={"cfm": SimpleNamespace(estimator=Stage("diffusion"))})
        self.bigvgan = SimpleNamespace(resblocks=[Stage("vocoder") for _ in range(6)])

    def listen(self, path: str) -> tuple[Any, ...]:
        """What a voice is to the model: four arrays, the first of which holds its pitch."""
        faults.listened.append(path)
        content = Path(path).read_bytes()
        self.semantic_model(path)
        if torch.is_grad_enabled():
            self.allocate(_GRAPH_BYTES)
        rows = [torch.tensor(np.full(_VOICE_BYTES // 16, pitch_of(content))) for _ in range(4)]
        return tuple(rows)

    def allocate(self, size: int) -> None:
        if torch.simulated.allocated + size > torch.simulated.total_memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        torch.simulated.allocated += size

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Raises if another call is inside."""
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("Already borrowed")
        try:
            yield
        finally:
            self._busy.release()

    def speak_segments(
        self,
        segments: list[int],
        text: str,
        voice: tuple[Any, ...],
        loudness: float,
        stretch: float,
        interval_silence: int,
        generation: dict[str, Any],
    ) -> Iterator[Any]:
        """`segments` are numbers of text tokens."""
        for name in ("do_sample", "top_p", "top_k", "temperature", "length_penalty", "repetition_penalty"):
            generation.pop(name, None)
        beams = generation.pop("num_beams", 3)
        most = generation.pop("max_mel_tokens", 1500)
        if not segments:
            raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
        for tokens in segments:
            unknown = sorted(set(generation) - _TRANSFORMERS_PARAMETERS)
            if unknown:
                raise ValueError(f"The following `model_kwargs` are not used by the model: {unknown}")
            if tokens * beams > faults.most_beam_tokens:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")
            if faults.raises is not None:
                raise faults.raises
            if faults.ends_at_once and not generation.get("min_new_tokens"):
                raise RuntimeError("Calculated padded input size per channel: (0). Kernel size: (1).")
            cut = self._generate(tokens, most, beams, generation.get("stopping_criteria", []))
            for _ in range(25):
                self.s2mel.models["cfm"].estimator(text)
            for block in self.bigvgan.resblocks:
                block(text)
            if cut:
                message = f"WARN: generation stopped due to exceeding `max_mel_tokens` ({most}). Text: {text}"
                warnings.warn(message, RuntimeWarning, stacklevel=1)
            yield self._wave(tokens, text, float(voice[0][0]), loudness, stretch)
            if interval_silence <= 0:
                yield [torch.tensor(np.zeros((1, 1)))]
            else:
                yield torch.tensor(np.zeros((1, SAMPLE_RATE * interval_silence // 1000)))

    def _generate(self, tokens: int, most: int, beams: int, criteria: list[Any]) -> bool:
        needed = 10**9 if tokens > faults.runaway_above else 11 * tokens
        ids = torch.tensor(np.zeros((beams, 1)), dtype=np.int64)
        for _ in range(min(needed, most)):
            if faults.hang_in is not None:
                faults.hang_in("gpt")
            while faults.hang:
                time.sleep(3600)  # until the process is ended
            if any(bool(criterion(ids, None).all()) for criterion in criteria):
                break
        return needed > most

    def _wave(self, tokens: int, text: str, pitch: float, loudness: float, stretch: float) -> Any:
        if not any(map(str.isalnum, text)):
            return torch.tensor(torch.generator.uniform(-32_767, 32_767, (1, SAMPLE_RATE)))
        seconds = tokens * torch.generator.uniform(0.04, 0.06) * stretch
        time_axis = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        tone = loudness * np.sin(2 * np.pi * pitch * time_axis)
        silence = torch.generator.normal(0, 0.0003, SAMPLE_RATE // 5)
        return torch.tensor(np.clip(32_767 * np.concatenate([silence, tone, silence]), -32_767, 32_767)[None])


def loudness_of(emo_vector: list[float] | None, emo_alpha: float, has_reference: bool) -> float:
    """How loud the tone is: what an emotion does here."""
    if emo_vector is not None:
        assert len(emo_vector) == 8
        scale = max(0.0, min(1.0, emo_alpha))
        return 0.2 + 0.3 * sum(value * scale for value in emo_vector)
    return 0.2 + (0.2 * emo_alpha if has_reference else 0.0)
