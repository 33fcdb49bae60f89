"""What the engine itself costs beside the model: its own processor time, held against the model's by a clock that says
how long the fastest card that was published takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.inference.indextts2.material import SAMPLE_RATE, never, reference, sample, utterance

# RTX 5090, fp32: 6.17 s for 34 s of sound (README of indextts25-inference 0.2.0)
FASTEST_REAL_TIME_FACTOR = 0.18
PARAGRAPH = "人工智能正在改变我们的生活方式，从医疗到教育，从交通到娱乐，几乎没有一个领域不受它的影响。"
SENTENCE = "今天天气很好，我们一起去公园散步吧。"


class Model:
    """The processor time inside a package's calls."""

    def __init__(self, tts: Any) -> None:
        self.seconds = 0.0
        self._generate = tts.infer_generator
        tts.infer_generator = self._timed

    def _timed(self, **arguments: Any) -> Iterator[Any]:
        began = time.thread_time()
        pieces = list(self._generate(**arguments))
        self.seconds += time.thread_time() - began
        return iter(pieces)


class TestOverhead:
    @pytest.mark.parametrize("text", [SENTENCE, "\n\n".join([PARAGRAPH] * 6)], ids=["a sentence", "a long text"])
    def test_it_is_at_most_two_hundredths_of_the_models_time(
        self, start: Callable[..., Any], tmp_path: Path, text: str
    ) -> None:
        engine, _ = start()
        voice = reference(tmp_path, sample(200))
        engine.speak(utterance(text, voice), never)
        model = Model(engine._model._tts)
        own: list[float] = []
        for _ in range(3):
            model.seconds = 0.0
            began = time.thread_time()
            speech = engine.speak(utterance(text, voice), never)
            own.append(time.thread_time() - began - model.seconds)
        assert min(own) <= 0.02 * FASTEST_REAL_TIME_FACTOR * speech.samples.size / SAMPLE_RATE

    def test_a_text_is_normalised_once(self, start: Callable[..., Any], tmp_path: Path) -> None:
        engine, _ = start()
        voice = reference(tmp_path, sample(200))
        normaliser = engine._model._tts.text_process
        normalise, seen = normaliser.normalize, []
        normaliser.normalize = lambda text: (seen.append(text), normalise(text))[1]
        engine.speak(utterance(f"{PARAGRAPH}\n\nNine of 14 are here. {SENTENCE}", voice), never)
        assert len(seen) == len(set(seen)) >= 3
        first = len(seen)
        engine.speak(utterance(SENTENCE, voice, seed=8), never)
        assert len(seen) == first
