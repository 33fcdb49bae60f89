"""Where each package keeps what it learned of a voice, and how that is taken out and put back.

index-tts has one slot for the voice and one for the emotion, each with the path that it belongs to, and lets a voice
go when another comes. indextts25-inference has dictionaries keyed by path and time of change, first in first out; it
also keeps what it makes of a voice and an emotion together, which index-tts makes anew for each segment.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

from speech_server.engines.indextts2.packages import Package

_VOICE_SLOTS = ("cache_spk_cond", "cache_s2mel_style", "cache_s2mel_prompt", "cache_mel")
_VOICE_PATH = "cache_spk_audio_prompt"
_EMOTION_SLOT = "cache_emo_cond"
_EMOTION_PATH = "cache_emo_audio_prompt"


class VoiceCache(Protocol):
    """`voice`, `emotion` and `mixture` are what `take` gave for the paths before, or None: the model then listens, or
    mixes, anew.
    """

    def put(
        self, path: str, voice: Any | None, emotion_path: str, emotion: Any | None, mixture: Any | None
    ) -> None: ...

    def take(self, path: str, emotion_path: str) -> tuple[Any, Any, Any | None]:
        """Voice, emotion, and their mixture, where the package keeps one."""
        ...

    def clear(self) -> None: ...


def voice_cache(package: Package, model: Any) -> VoiceCache:
    """Raises AttributeError if the installed package is not built as this one was."""
    return SlotCache(model) if package.voice_cache == "slots" else DictCache(model)


class SlotCache:
    """index-tts: the seven `cache_...` attributes."""

    def __init__(self, model: Any) -> None:
        self._model = model
        for name in (*_VOICE_SLOTS, _VOICE_PATH, _EMOTION_SLOT, _EMOTION_PATH):
            getattr(model, name)

    def put(
        self,
        path: str,
        voice: Any | None,
        emotion_path: str,
        emotion: Any | None,
        mixture: Any | None,  # noqa: ARG002 - there is none
    ) -> None:
        for name, value in zip(_VOICE_SLOTS, voice or (None,) * len(_VOICE_SLOTS), strict=True):
            setattr(self._model, name, value)
        setattr(self._model, _VOICE_PATH, path if voice is not None else None)
        setattr(self._model, _EMOTION_SLOT, emotion)
        setattr(self._model, _EMOTION_PATH, emotion_path if emotion is not None else None)

    def take(self, path: str, emotion_path: str) -> tuple[Any, Any, None]:
        assert getattr(self._model, _VOICE_PATH) == path, "the model speaks with another voice than it was given"
        assert getattr(self._model, _EMOTION_PATH) == emotion_path, "the model took another emotion than it was given"
        voice = tuple(getattr(self._model, name) for name in _VOICE_SLOTS)
        return voice, getattr(self._model, _EMOTION_SLOT), None

    def clear(self) -> None:
        self.put("", None, "", None, None)


class DictCache:
    """indextts25-inference: `_spk_cache`, `_emo_cache`, and `_emovec_cache`, which is made from both by how strong the
    emotion is: of that, the last one is kept.
    """

    def __init__(self, model: Any) -> None:
        self._voices: dict[Any, Any] = model._spk_cache
        self._emotions: dict[Any, Any] = model._emo_cache
        self._mixtures: dict[Any, Any] = model._emovec_cache

    def put(self, path: str, voice: Any | None, emotion_path: str, emotion: Any | None, mixture: Any | None) -> None:
        self.clear()
        if voice is not None:
            self._voices[_key(path)] = voice
        if emotion is not None:
            self._emotions[_key(emotion_path)] = emotion
        if mixture is not None:
            alpha, vector = mixture
            self._mixtures[_key(path), _key(emotion_path), alpha] = vector

    def take(self, path: str, emotion_path: str) -> tuple[Any, Any, Any]:
        (voice, emotion, alpha), vector = next(reversed(self._mixtures.items()))
        assert (voice, emotion) == (_key(path), _key(emotion_path)), "the model took another emotion than it was given"
        return self._voices[voice], self._emotions[emotion], (alpha, vector)

    def clear(self) -> None:
        self._voices.clear()
        self._emotions.clear()
        self._mixtures.clear()


def _key(path: str) -> tuple[str, int]:
    # os.path.abspath, which leaves links alone, as the package does
    return os.path.abspath(path), os.stat(path).st_mtime_ns  # noqa: PTH100, PTH116
