"""Speaks with one loaded engine, and takes the time."""

from __future__ import annotations

import hashlib
import importlib
import os
import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from speech_server.audio.encode import wav
from speech_server.engines.base import Cancelled, Reference, Utterance
from speech_server.engines.indextts2.engine import IndexTTS2Engine
from speech_server.engines.indextts2.model import Call, Model, Sound
from speech_server.estimates.prior import prior_of
from tools.bench_gpu.clocks import STAGES, Clocks, clocked
from tools.bench_gpu.report import Figures, Speech

SHORT = "今天天气很好，我们一起去公园散步吧。"
# A segment of its own: about ten seconds.
PARAGRAPH = "人工智能正在改变我们的生活方式，从医疗到教育，从交通到娱乐，几乎没有一个领域不受它的影响。"
SAMPLE_RATE = 22_050
SAMPLE_SECONDS = {"cuda": 10, "cpu": 2}  # of a voice; listening to ten is minutes on a CPU
SHORT_CALLS = 5
CANCELS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)  # of the time that the short text takes
CODES_A_SECOND = {"2": 50, "2.5": 25}  # that the codec of each version makes sound of


def measure(environment: dict[str, str], folder: Path, segments: int, trained: bool) -> Figures:
    """`environment`: SPEECH_ENGINE_... for the engine. A text of `segments` paragraphs is the long one.

    Weights that are not `trained` do not know when a sentence ends: each segment is then made as long as its text
    usually is. To be called once in a process, whose memory it measures. Raises what the engine does.
    """
    os.environ.update(environment)
    os.environ["SPEECH_WORK_DIR"] = str(folder)
    if not trained:
        _speak_as_long_as_usual()
    engine = IndexTTS2Engine()
    began = time.perf_counter()
    engine.load()
    load_seconds = time.perf_counter() - began
    memory = _Memory(engine._accelerator.device)
    loaded_bytes = memory.used()
    tts = engine._model._tts
    clocks = clocked(tts, memory.finish)
    sample_seconds = SAMPLE_SECONDS[engine._accelerator.device.partition(":")[0]]
    voices = [_voice(folder, 140 + 30 * number, sample_seconds) for number in range(3)]
    new = [_spoken(engine, SHORT, voice) for voice in voices]
    known = [_spoken(engine, SHORT, voices[0]) for _ in range(SHORT_CALLS)]
    usual = _median(known)
    cancel_seconds = max(_cancelled(engine, voices[0], share * usual.seconds) for share in CANCELS)
    clocks.clear()
    long_text = _spoken(engine, "\n\n".join([PARAGRAPH] * segments), voices[0])
    package = engine._settings.package
    return Figures(
        version=package.version,
        package=package.name,
        precision=environment["SPEECH_ENGINE_PRECISION"],
        load_seconds=load_seconds,
        loaded_bytes=loaded_bytes,
        peak_bytes=memory.peak(),
        new_voice=_median(new),
        known_voice=usual,
        long_text=long_text,
        cancel_seconds=cancel_seconds,
        stages=_stages(clocks),
        own_seconds=long_text.seconds - clocks.model,
    )


class _Memory:
    """Bytes on the GPU; on the CPU the process's, of which only the peak is known."""

    def __init__(self, device: str) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._device = device
        self._on_gpu = device.startswith("cuda")

    def used(self) -> int:
        return self._torch.cuda.memory_allocated(self._device) if self._on_gpu else self.peak()

    def peak(self) -> int:
        if self._on_gpu:
            return self._torch.cuda.max_memory_allocated(self._device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

    def finish(self) -> None:
        if self._on_gpu:
            self._torch.cuda.synchronize(self._device)


def _speak_as_long_as_usual() -> None:
    speak = Model.speak

    def speak_as_long(model: Model, call: Call) -> Sound:
        codes = max(8, round(CODES_A_SECOND[model.package.version] * prior_of(call.text, call.language).seconds))
        limits = {"max_mel_tokens": codes, "min_new_tokens": codes}
        return replace(speak(model, replace(call, parameters={**call.parameters, **limits})), cut=False)

    Model.speak = speak_as_long  # ty: ignore[invalid-assignment]


def _spoken(engine: IndexTTS2Engine, text: str, voice: Reference) -> Speech:
    began = time.perf_counter()
    first = 0.0
    samples = segments = 0
    for segment in engine.segments(_utterance(text, voice), lambda: False):
        first = first or time.perf_counter() - began
        samples += segment.samples.size
        segments += 1
    return Speech(time.perf_counter() - began, samples / SAMPLE_RATE, segments, first)


def _cancelled(engine: IndexTTS2Engine, voice: Reference, after: float) -> float:
    """Seconds from the moment of a cancellation, `after` seconds of speaking, to the engine's letting go."""
    due = time.perf_counter() + after
    try:
        engine.speak(_utterance(SHORT, voice), lambda: time.perf_counter() >= due)
    except Cancelled:
        return time.perf_counter() - due
    return 0.0  # it was done before


def _utterance(text: str, voice: Reference) -> Utterance:
    return Utterance(text, "zh", None, voice, None, None, seed=1, small_footprint=False)


def _voice(folder: Path, hertz: float, sample_seconds: int) -> Reference:
    seconds = np.arange(sample_seconds * SAMPLE_RATE) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * hertz * part * seconds) / part for part in range(1, 6))
    content = wav((0.15 * tone * np.sin(2 * np.pi * 2 * seconds) ** 2).astype(np.float32), SAMPLE_RATE)
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{sha256}.wav"
    path.write_bytes(content)
    return Reference(sha256, str(path), sample_seconds)


def _median(spoken: list[Speech]) -> Speech:
    middle = statistics.median_low(speech.seconds for speech in spoken)
    return next(speech for speech in spoken if speech.seconds == middle)


def _stages(clocks: Clocks) -> tuple[float, float, float]:
    generation, diffusion, vocoder = (clocks.stages[name] for name in STAGES)
    return generation, diffusion, vocoder
