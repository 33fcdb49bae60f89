"""One loaded model, whichever package runs it: counts tokens and speaks one segment."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from speech_server.engines.indextts2.accelerator import Accelerator
from speech_server.engines.indextts2.glossary import Glossary
from speech_server.engines.indextts2.interruption import Interruption
from speech_server.engines.indextts2.packages import Package, Precision
from speech_server.engines.indextts2.quiet import quiet
from speech_server.engines.indextts2.spoken_text import rendered
from speech_server.engines.indextts2.voice_caches import voice_cache
from speech_server.engines.indextts2.warm_voices import WarmVoices
from speech_server.engines.indextts2.weights import auxiliary_paths

_FULL_SCALE = 32_767  # what the model's samples are scaled to
# With 0 the model yields a list where silence is due. 22 samples of it are dropped.
_SHORTEST_SILENCE = 1  # ms
_CUT = "generation stopped due to exceeding"
_PREPARED_TEXTS = 256  # segments, sentences and clauses of about two long texts, each of some hundred bytes


class UnsuitablePackageError(RuntimeError):
    """The package that is installed is not the one that this was written for, or lacks an optional part."""


@dataclass(frozen=True)
class Voice:
    """A sample as the model is given it: `path` never had another content than the one that `sha256` names."""

    sha256: str
    path: str


@dataclass(frozen=True)
class Call:
    """One segment. `emotion`: a sample that sounds as the speech shall, None for the voice's own."""

    text: str  # with marks
    language: str
    text_tokens: int
    voice: Voice
    emotion: Voice | None
    emotion_vector: tuple[float, ...] | None
    emotion_alpha: float
    duration_factor: float
    seed: int
    parameters: Mapping[str, float]


@dataclass(frozen=True)
class Sound:
    """float32 mono samples of shape (n,) in -1..1; `cut`: the model stopped at its limit, in the middle of the text."""

    samples: np.ndarray
    cut: bool


class Model:
    """Not to be called from two threads: IndexTTS2 mixes up voices."""

    def __init__(
        self,
        package: Package,
        folder: Path,
        precision: Precision,
        accelerator: Accelerator,
        interruption: Interruption,
        glossary: Glossary,
        warm_bytes: int,
    ) -> None:
        """Loads the weights. Raises ImportError, UnsuitablePackageError, and whatever torch does."""
        self.package = package
        self._accelerator = accelerator
        self._interruption = interruption
        self._warm = WarmVoices(warm_bytes)
        self._seed = 0
        with quiet():
            self._module = _imported(package.module)
            self._tts = self._module.IndexTTS2(**_constructor_arguments(package, folder, precision, accelerator.device))
        self._normalizer = _normalizer(package, self._tts)
        if glossary:
            self._normalizer.load_glossary(glossary)
        try:
            if package.voice_cache == "dicts":
                _normalise_once(self._tts)
            self._cache = voice_cache(package, self._tts)
            interruption.attach(_stages(self._tts))
            # its layers draw random numbers that they do not use: a voice that is warm would be another speech
            self._tts.semantic_model.register_forward_hook(lambda *_: accelerator.seed(self._seed))
        except (AttributeError, KeyError) as error:
            raise UnsuitablePackageError(f"the installed {package.name} is built differently: {error}") from error
        if hasattr(self._tts, "gr_progress"):
            self._tts.gr_progress = interruption.progress

    def count_tokens(self, text: str, language: str) -> int:
        """Tokens of a text with marks, normalised as it will be when it is spoken; 0: nothing of it can be read.

        Raises Cancelled.
        """
        self._interruption.check()
        with quiet():
            return self._count(rendered(text, self.package.version), language)

    def speak(self, call: Call) -> Sound:
        """Raises Cancelled, and whatever the model does: out of memory, an index out of range."""
        emotion = call.emotion or call.voice
        self._seed = call.seed
        self._accelerator.seed(call.seed)
        mixed = f"mixture {call.voice.sha256} {emotion.sha256}"
        self._cache.put(
            call.voice.path,
            self._warm.get(f"voice {call.voice.sha256}"),
            emotion.path,
            self._warm.get(f"emotion {emotion.sha256}"),
            self._warm.get(mixed),
        )
        try:
            with quiet() as caught, self._accelerator.no_grad():
                # every second one is silence
                pieces = list(self._tts.infer_generator(**self._arguments(call)))[::2]
            voice, feeling, mixture = self._cache.take(call.voice.path, emotion.path)
        finally:
            # also after a failure: whatever the model began to learn is of no use to the next call
            self._cache.clear()
        self._warm.put(f"voice {call.voice.sha256}", voice)
        self._warm.put(f"emotion {emotion.sha256}", feeling)
        if mixture is not None:
            self._warm.put(mixed, mixture)
        return Sound(_samples(pieces), any(map(_says_cut, caught)))

    def forget_voices(self) -> None:
        """Let go of every warm voice, for their memory."""
        self._warm.clear()
        self._cache.clear()

    def _count(self, text: str, language: str) -> int:
        tts = self._tts
        if not self.package.takes_language:
            return len(tts.tokenizer.tokenize(text))
        if self.package.voice_cache == "dicts":
            prepared = tts._prepare_text(text, language)
        else:
            normalised = self._normalizer.normalize(text) if language in ("zh", "en") else text
            prepared = self._module.apply_pronunciation_annotations(normalised)
        if not prepared.strip():
            return 0
        return tts._token_len(f"<|{language}|> ") + tts._token_len(prepared)

    def _arguments(self, call: Call) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "spk_audio_prompt": call.voice.path,
            "text": _no_single_character(rendered(call.text, self.package.version), call.language),
            "output_path": None,
            "interval_silence": _SHORTEST_SILENCE,
            # what was counted fits, and a piece more or less must not be split again
            "max_text_tokens_per_segment": call.text_tokens + 40,
            "stream_return": True,
            "stopping_criteria": [self._interruption.criterion],
            **call.parameters,
        }
        if call.emotion_vector is not None:
            arguments["emo_vector"] = list(call.emotion_vector)
        elif call.emotion is not None:
            arguments["emo_audio_prompt"] = call.emotion.path
            arguments["emo_alpha"] = call.emotion_alpha
        if self.package.takes_language:
            arguments["lang"] = call.language
            arguments["duration_factor"] = call.duration_factor
        return arguments


def _imported(name: str) -> Any:
    """The module, with the variable that it sets on import as it was: a path relative to where the server runs."""
    before = os.environ.get("HF_HUB_CACHE")
    try:
        return importlib.import_module(name)
    finally:
        if before is None:
            os.environ.pop("HF_HUB_CACHE", None)
        else:
            os.environ["HF_HUB_CACHE"] = before


def _constructor_arguments(package: Package, folder: Path, precision: Precision, device: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "cfg_path": str(folder / "config.yaml"),
        "model_dir": str(folder),
        "device": device,
        **package.flags[precision],
        **package.fixed_flags,
    }
    if package.takes_aux_paths:
        arguments["aux_paths"] = auxiliary_paths(folder)
    return arguments


def _normalise_once(tts: Any) -> None:
    """What was normalised to be counted is not normalised again to be spoken: that is most of what a segment costs
    beside the model's own work.
    """
    prepare = lru_cache(_PREPARED_TEXTS)(tts._prepare_text)

    def prepared(text: str, lang: str, text_normalization: bool = True, verbose: bool = False) -> str:  # noqa: ARG001
        return prepare(text, lang, text_normalization)

    tts._prepare_text = prepared


def _normalizer(package: Package, tts: Any) -> Any:
    if not package.takes_language:
        return tts.normalizer
    # None from index-tts, which has loaded it by then; False from indextts25-inference without its extra `zh`. Numbers
    # would then be spelled out inside marks, and `<行|XING2>` be read as letters.
    if tts.text_process.load() is False:
        raise UnsuitablePackageError("WeTextProcessing is not installed: pip install 'indextts25-inference[zh]'")
    return tts.text_process


def _stages(tts: Any) -> Iterator[Any]:
    """The modules that run for long and take no stopping criterion: listening, diffusion, vocoder."""
    yield from tts.semantic_model.encoder.layers
    yield tts.s2mel.models["cfm"].estimator
    yield from tts.bigvgan.resblocks


def _samples(pieces: list[Any]) -> np.ndarray:
    if not pieces:
        return np.zeros(0, dtype=np.float32)
    rows = [np.asarray(piece, dtype=np.float32).reshape(-1) for piece in pieces]
    return np.concatenate(rows) / np.float32(_FULL_SCALE)


def _says_cut(warning: warnings.WarningMessage) -> bool:
    return _CUT in str(warning.message)


def _no_single_character(text: str, language: str) -> str:
    """Version 2 does not normalise a text of one character, and has no token for a digit."""
    if len(text.strip()) > 1:
        return text
    return text + ("。" if language in ("zh", "ja") else ".")
