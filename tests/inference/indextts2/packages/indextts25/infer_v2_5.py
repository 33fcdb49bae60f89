"""`indextts25.infer_v2_5`: version 2.5, its voices in dictionaries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from front import Normalizer, split
from indextts.infer_v2_5 import IndexTTS2 as Upstream
from indextts.infer_v2_5 import apply_pronunciation_annotations
from strict_model import StrictModel, faults, loudness_of

has_zh_extra = True


class _LazyNormalizer(Normalizer):
    def load(self) -> bool:
        super().load()
        return has_zh_extra


class IndexTTS2(StrictModel):
    _token_len = Upstream._token_len

    def __init__(
        self,
        cfg_path: str = "checkpoints/config.yaml",
        model_dir: str = "checkpoints",
        use_bf16: bool = False,
        device: str | None = None,
        use_accel: bool = False,
    ) -> None:
        super().__init__(cfg_path, model_dir, device)
        assert not use_accel, "a call of it cannot be stopped"
        self.use_bf16 = use_bf16
        self.text_process = _LazyNormalizer()
        self._spk_cache: dict[Any, Any] = {}
        self._emo_cache: dict[Any, Any] = {}
        self._emovec_cache: dict[Any, Any] = {}

    def _prepare_text(self, text: str, lang: str, text_normalization: bool = True, verbose: bool = False) -> str:
        normalised = self.text_process.normalize(text) if lang in ("zh", "en") else text
        return apply_pronunciation_annotations(normalised.lower())

    def infer_generator(
        self,
        spk_audio_prompt: str,
        text: str,
        output_path: str | None,
        lang: str,
        emo_audio_prompt: str | None = None,
        emo_alpha: float = 1.0,
        emo_vector: list[float] | None = None,
        use_random: bool = False,
        interval_silence: int = 200,
        verbose: bool = False,
        max_text_tokens_per_segment: int = 120,
        stream_return: bool = False,
        duration_factor: float = 1.0,
        text_normalization: bool = True,
        emit_text: bool = False,
        **generation_kwargs: Any,
    ) -> Iterator[Any]:
        assert output_path is None and stream_return
        for name in ("diffusion_steps", "inference_cfg_rate"):
            generation_kwargs.pop(name, None)
        with self.alone(), torch.no_grad():
            faults.calls.append(
                {"text": text, "lang": lang, "emo_vector": emo_vector, "emo": emo_audio_prompt, **generation_kwargs}
            )
            if emo_vector is not None:
                emo_audio_prompt = None
            loudness = loudness_of(emo_vector, emo_alpha, emo_audio_prompt is not None)
            voice = self._known(self._spk_cache, spk_audio_prompt)
            self._known(self._emo_cache, emo_audio_prompt or spk_audio_prompt)
            self._mix(spk_audio_prompt, emo_audio_prompt, emo_alpha)
            prepared = self._prepare_text(text, lang)
            tokens = self._token_len(f"<|{lang}|> {prepared}")
            faults.calls[-1]["tokens"] = tokens
            pieces = list(
                self.speak_segments(
                    split(tokens, max_text_tokens_per_segment),
                    text,
                    voice,
                    loudness,
                    duration_factor,
                    interval_silence,
                    dict(generation_kwargs),
                )
            )
            yield from pieces[:-1]  # no silence after the last one

    def _mix(self, voice: str, emotion: str | None, alpha: float) -> None:
        """Without a sample of its own, the emotion is the voice's, and whole."""
        key = (_key(voice), _key(emotion or voice), alpha if emotion else 1.0)
        if key not in self._emovec_cache:
            faults.mixed.append(key[2])
            self._emovec_cache[key] = torch.tensor(np.zeros((1, 1280)))

    def _known(self, cache: dict[Any, Any], path: str) -> Any:
        key = _key(path)
        if key not in cache:
            cache[key] = self.listen(path)
            while len(cache) > 8:
                cache.pop(next(iter(cache)))
        return cache[key]


def _key(path: str) -> tuple[str, int]:
    return os.path.abspath(path), os.stat(path).st_mtime_ns  # noqa: PTH100, PTH116 - as the package does
