"""`indextts.infer_v2`: version 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from front import Normalizer, Tokenizer, split
from strict_model import StrictModel, faults, loudness_of

_AUXILIARY = {"w2v_bert", "semantic_codec", "campplus", "bigvgan"}


class IndexTTS2(StrictModel):
    def __init__(
        self,
        cfg_path: str = "checkpoints/config.yaml",
        model_dir: str = "checkpoints",
        use_fp16: bool = False,
        device: str | None = None,
        use_cuda_kernel: bool | None = None,
        use_deepspeed: bool = False,
        use_accel: bool = False,
        use_torch_compile: bool = False,
        use_qwen_emo: bool = True,
        aux_paths: dict[str, str] | None = None,
    ) -> None:
        super().__init__(cfg_path, model_dir, device)
        assert aux_paths is not None and set(aux_paths) == _AUXILIARY, "it would fetch them from the network"
        assert all(Path(path).exists() for path in aux_paths.values())
        assert use_cuda_kernel is False, "without nvcc this is an error of half a minute"
        assert not use_qwen_emo, "its 1.2 GB are loaded elsewhere"
        self.use_fp16 = use_fp16
        self.normalizer = Normalizer()
        self.normalizer.load()
        self.tokenizer = Tokenizer(self.normalizer)
        self.cache_spk_cond: Any = None
        self.cache_s2mel_style: Any = None
        self.cache_s2mel_prompt: Any = None
        self.cache_spk_audio_prompt: str | None = None
        self.cache_emo_cond: Any = None
        self.cache_emo_audio_prompt: str | None = None
        self.cache_mel: Any = None
        self.gr_progress: Callable[..., None] | None = None

    def infer_generator(
        self,
        spk_audio_prompt: str,
        text: str,
        output_path: str | None,
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
        **generation_kwargs: Any,
    ) -> Iterator[Any]:
        assert output_path is None and stream_return
        assert not use_emo_text, "not loaded"
        print(f">> starting inference... {text}")  # noqa: T201 - upstream prints its tokens
        with self.alone():
            faults.calls.append({"text": text, "emo_vector": emo_vector, "emo": emo_audio_prompt, **generation_kwargs})
            self._progress(0, "starting inference...")
            if emo_vector is not None:
                emo_audio_prompt = None
            loudness = loudness_of(emo_vector, emo_alpha, emo_audio_prompt is not None)
            self.condition(spk_audio_prompt, emo_audio_prompt or spk_audio_prompt)
            self._progress(0.1, "text processing...")
            tokens = len(self.tokenizer.tokenize(text))
            faults.calls[-1]["tokens"] = tokens
            voice = (self.cache_spk_cond, self.cache_s2mel_style, self.cache_s2mel_prompt, self.cache_mel)
            segments = split(tokens, max_text_tokens_per_segment)
            self._progress(0.2, "speech synthesis 1/1...")
            yield from self.speak_segments(
                segments, text, voice, loudness, 1.0, interval_silence, dict(generation_kwargs)
            )

    def condition(self, voice: str, emotion: str) -> None:
        if self.cache_spk_cond is None or self.cache_spk_audio_prompt != voice:
            found = self.listen(voice)
            self.cache_spk_cond, self.cache_s2mel_style, self.cache_s2mel_prompt, self.cache_mel = found
            self.cache_spk_audio_prompt = voice
        if self.cache_emo_cond is None or self.cache_emo_audio_prompt != emotion:
            self.cache_emo_cond = self.listen(emotion)[0]
            self.cache_emo_audio_prompt = emotion

    def _progress(self, value: float, desc: str) -> None:
        if self.gr_progress is not None:
            self.gr_progress(value, desc=desc)
