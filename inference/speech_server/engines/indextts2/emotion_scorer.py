"""Emotion from a description: a small language model that is asked once for each text.

It is upstream's model (`qwen0.6bemo4-merge`), run here and not by the package: upstream lets it write 32,768 tokens,
which is minutes, and asks it again for every request.
"""

from __future__ import annotations

import importlib
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from speech_server.engines.indextts2.accelerator import Accelerator
from speech_server.engines.indextts2.emotion import Vector
from speech_server.engines.indextts2.emotion_scores import scores_of
from speech_server.engines.indextts2.interruption import Interruption
from speech_server.engines.indextts2.quiet import quiet

_TASK = "文本情感分类"  # what the model was trained to be told
# Eight names with their numbers are about 90 tokens.
_MOST_TOKENS = 160
_MOST_SECONDS = 20.0
_END_OF_THOUGHT = "</think>"
_KEPT = 2048  # descriptions; a vector is a few hundred bytes


class EmotionScorer:
    """`score()` is None for a description of which nothing could be made in time."""

    def __init__(self, folder: Path, accelerator: Accelerator, on_cpu: bool, interruption: Interruption) -> None:
        """Loads the model. Raises OSError or ValueError as transformers does."""
        self._accelerator = accelerator
        self._interruption = interruption
        self._scores: OrderedDict[str, Vector] = OrderedDict()
        # heavy, and only there where the engine runs
        transformers: Any = importlib.import_module("transformers")
        half = accelerator.on_gpu and not on_cpu
        with quiet():
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
            self._model = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder), local_files_only=True, torch_dtype="float16" if half else "float32"
            )
            self._model = self._model.to("cpu" if on_cpu else accelerator.device).eval()

    def score(self, description: str) -> Vector | None:
        """Eight values in the order of `emotion.NAMES`. Raises Cancelled."""
        if description in self._scores:
            self._scores.move_to_end(description)
            return self._scores[description]
        with quiet(), self._accelerator.no_grad():
            scores = scores_of(self._answer(description), description)
        if scores is not None:
            self._scores[description] = scores
            if len(self._scores) > _KEPT:
                self._scores.popitem(last=False)
        return scores

    def _answer(self, description: str) -> str:
        messages = [{"role": "system", "content": _TASK}, {"role": "user", "content": description}]
        prompt = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        inputs = self._tokenizer([prompt], return_tensors="pt").to(self._model.device)
        written = self._model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=_MOST_TOKENS,
            do_sample=False,  # the same description has the same emotion in every process
            pad_token_id=self._tokenizer.eos_token_id,
            stopping_criteria=[_Deadline(self._interruption, _MOST_SECONDS)],
        )
        answer = self._tokenizer.decode(written[0][len(inputs["input_ids"][0]) :], skip_special_tokens=True)
        return answer.rpartition(_END_OF_THOUGHT)[2].strip()


class _Deadline:
    """A stopping criterion that is true after some seconds, and raises Cancelled when nobody waits any more."""

    def __init__(self, interruption: Interruption, seconds: float) -> None:
        self._interruption = interruption
        self._end = time.monotonic() + seconds

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        running = self._interruption.criterion(input_ids, scores)
        return ~running if time.monotonic() >= self._end else running
