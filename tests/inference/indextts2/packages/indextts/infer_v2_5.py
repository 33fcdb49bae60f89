"""`indextts.infer_v2_5`: version 2.5."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from front import Normalizer, split
from strict_model import StrictModel, faults, loudness_of

from indextts import infer_v2

os.environ["HF_HUB_CACHE"] = "./checkpoints/hf_cache"  # as upstream does on import

_MARK = re.compile(r"<([^|>\n]+)\|([^>\n]+)>")


def apply_pronunciation_annotations(text: str) -> str:
    def special(match: re.Match[str]) -> str:
        token = "SPECIAL_TOKEN_2" if re.search("[\u4e00-\u9fff]", match[1]) else "SPECIAL_TOKEN_1"
        return f"<|{token}|>{match[2].upper()}<|{token}|>"

    return _MARK.sub(special, text)


class IndexTTS2(StrictModel):
    condition = infer_v2.IndexTTS2.condition
    _progress = infer_v2.IndexTTS2._progress

    def __init__(
        self,
        cfg_path: str = "checkpoints/config.yaml",
        model_dir: str = "checkpoints",
        use_bf16: bool = False,
        device: str | None = None,
        use_cuda_kernel: bool | None = None,
        use_deepspeed: bool = False,
        use_accel: bool = False,
        use_torch_compile: bool = False,
        use_qwen_emo: bool = False,
    ) -> None:
        super().__init__(cfg_path, model_dir, device)
        assert use_cuda_kernel is False
        assert not use_qwen_emo
        self.use_bf16 = use_bf16
        self.text_process = Normalizer()
        self.text_process.load()
        self.cache_spk_cond: Any = None
        self.cache_s2mel_style: Any = None
        self.cache_s2mel_prompt: Any = None
        self.cache_spk_audio_prompt: str | None = None
        self.cache_emo_cond: Any = None
        self.cache_emo_audio_prompt: str | None = None
        self.cache_mel: Any = None
        self.gr_progress: Callable[..., None] | None = None

    def _token_len(self, text: str) -> int:
        # special tokens are allowed: one that a caller writes is one
        return len(re.findall(r"<\|[A-Za-z0-9_]+\|>|[\u2e80-\u9fff]|\w+|[^\w\s]", text))

    def infer_generator(
        self,
        spk_audio_prompt: str,
        text: str,
        output_path: str | None,
        lang: str,
        emo_audio_prompt: str | None = None,
        emo_alpha: float = 1.0,
        emo_vector: list[float] | None = None,
        use_emo_text: bool = False,
        emo_text: str | None = None,
        use_random: bool = False,
        interval_silence: int = 200,
        verbose: bool = False,
        max_text_tokens_per_segment: int = 120,
        stream_return: bool = False,
        quick_streaming_tokens: int = 0,
        duration_factor: float = 1.0,
        text_normalization: bool = True,
        **generation_kwargs: Any,
    ) -> Iterator[Any]:
        assert output_path is None and stream_return
        assert not use_emo_text, "not loaded"
        assert 0.5 <= duration_factor <= 2.0
        with self.alone():
            faults.calls.append(
                {"text": text, "lang": lang, "emo_vector": emo_vector, "emo": emo_audio_prompt, **generation_kwargs}
            )
            self._progress(0, "starting inference...")
            if emo_vector is not None:
                emo_audio_prompt = None
            loudness = loudness_of(emo_vector, emo_alpha, emo_audio_prompt is not None)
            self.condition(spk_audio_prompt, emo_audio_prompt or spk_audio_prompt)
            self._progress(0.1, "text processing...")
            prepared = self.prepared(text, lang)
            print(f"text after normalization: {prepared}")  # noqa: T201 - as upstream does
            tokens = self._token_len(f"<|{lang}|> {prepared}")
            faults.calls[-1]["tokens"] = tokens
            voice = (self.cache_spk_cond, self.cache_s2mel_style, self.cache_s2mel_prompt, self.cache_mel)
            yield from self.speak_segments(
                split(tokens, max_text_tokens_per_segment),
                text,
                voice,
                loudness,
                duration_factor,
                interval_silence,
                dict(generation_kwargs),
            )

    def prepared(self, text: str, lang: str) -> str:
        normalised = self.text_process.normalize(text) if lang in ("zh", "en") else text
        return apply_pronunciation_annotations(normalised.lower())
