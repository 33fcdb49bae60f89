"""A stand-in for the text-emotion model: a token is a character. It writes for as long as it may, if told so.

A description of `forever` is never finished, `nonsense` is answered with no score, everything else by its first word
that is an emotion.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

calls: list[str] = []
written: list[int] = []  # tokens of each answer

_ANSWERS = {
    "愤怒": {"高兴": 0.0, "愤怒": 1.2, "悲伤": 0.1},
    "悲伤": {"悲伤": 0.8},
    "低落": {"悲伤": 0.9},
    "平静": {},
}


class _Inputs(dict):
    def to(self, _device: str) -> _Inputs:
        return self


class AutoTokenizer:
    eos_token_id = 0

    @classmethod
    def from_pretrained(cls, path: str, *, local_files_only: bool) -> AutoTokenizer:
        _check_folder(path, local_files_only)
        return cls()

    def apply_chat_template(
        self, messages: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool, enable_thinking: bool
    ) -> str:
        assert not tokenize
        assert add_generation_prompt
        assert not enable_thinking
        assert [message["role"] for message in messages] == ["system", "user"]
        return messages[1]["content"]

    def __call__(self, texts: list[str], *, return_tensors: str) -> _Inputs:
        assert return_tensors == "pt"
        ids = torch.tensor([[ord(letter) for letter in texts[0]]], dtype=np.int64)
        return _Inputs(input_ids=ids, attention_mask=np.ones_like(ids))

    def decode(self, ids: Any, *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return "".join(map(chr, ids))


class AutoModelForCausalLM:
    device = "cuda:0"

    @classmethod
    def from_pretrained(cls, path: str, *, local_files_only: bool, torch_dtype: str) -> AutoModelForCausalLM:
        _check_folder(path, local_files_only)
        assert torch_dtype in ("float16", "float32")
        model = cls()
        model.dtype = torch_dtype
        return model

    def to(self, device: str) -> AutoModelForCausalLM:
        self.device = device
        assert device != "cpu" or self.dtype == "float32", "half precision on a CPU takes minutes"
        return self

    def eval(self) -> AutoModelForCausalLM:
        return self

    def generate(
        self,
        *,
        input_ids: Any,
        attention_mask: Any,
        max_new_tokens: int,
        do_sample: bool,
        pad_token_id: int,
        stopping_criteria: list[Any],
    ) -> Any:
        assert not torch.is_grad_enabled()
        description = "".join(map(chr, input_ids[0]))
        calls.append(description)
        answer = _answer(description, max_new_tokens)
        ids = input_ids
        for count, letter in enumerate(answer, start=1):
            ids = torch.tensor(np.concatenate([ids, [[ord(letter)]]], axis=1), dtype=np.int64)
            if count >= max_new_tokens or any(bool(criterion(ids, None).all()) for criterion in stopping_criteria):
                break
        written.append(ids.shape[1] - input_ids.shape[1])
        return ids


def _answer(description: str, most: int) -> str:
    if "forever" in description:
        return "的" * (most + 1)
    if "nonsense" in description:
        return "I do not know."
    for word, scores in _ANSWERS.items():
        if word in description:
            return "<think>\n\n</think>\n\n" + json.dumps({"自然": 0.0, **scores}, ensure_ascii=False)
    return '"高兴": 0.7, "自然": 0.1'  # not quite JSON


def _check_folder(path: str, local_files_only: bool) -> None:
    assert local_files_only
    assert os.environ.get("TRANSFORMERS_OFFLINE") == "1", "the engine must not go to the network"
    assert (Path(path) / "model.safetensors").is_file()
