"""The stand-ins have the faults that the engine keeps from callers: without, its tests would show nothing."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.inference.indextts2.material import VERSION_NAMES, VERSIONS, never, pitch, reference, sample, utterance

every_version = pytest.mark.parametrize("version", VERSIONS, ids=VERSION_NAMES)


@pytest.fixture
def infer(start: Callable[..., Any], version: dict[str, str]) -> Callable[..., list[Any]]:
    """The model's own call, past the engine."""
    engine, _ = start(**version)
    model = engine._model._tts
    language = {} if version["VERSION"] == "2" else {"lang": "zh"}

    def call(path: str, text: str, **arguments: Any) -> list[Any]:
        given = {"interval_silence": 1, "stream_return": True, **language, **arguments}
        return list(model.infer_generator(path, text, None, **given))

    return call


class TestFaults:
    @every_version
    def test_an_unknown_parameter_raises(self, infer: Callable[..., Any], tmp_path: Path) -> None:
        voice = reference(tmp_path, sample(200))
        with pytest.raises((ValueError, TypeError), match="use_random_seed"):
            infer(voice.path, "你好。", use_random_seed=True)

    @every_version
    def test_punctuation_is_noise(self, infer: Callable[..., Any], tmp_path: Path) -> None:
        voice = reference(tmp_path, sample(200))
        assert abs(infer(voice.path, "！！")[0]).max() > 30_000

    @pytest.mark.parametrize("version", VERSIONS[:1], ids=["v2"])
    def test_an_empty_text_raises(self, infer: Callable[..., Any], tmp_path: Path) -> None:
        voice = reference(tmp_path, sample(200))
        with pytest.raises(RuntimeError, match=r"torch\.cat"):
            infer(voice.path, "")

    @every_version
    def test_without_silence_a_list_comes_where_silence_is_due(self, infer: Callable[..., Any], tmp_path: Path) -> None:
        voice = reference(tmp_path, sample(200))
        pieces = infer(voice.path, "你好世界。", interval_silence=0, max_text_tokens_per_segment=3)
        assert isinstance(pieces[1], list)

    @pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[2]], ids=["v2", "v2.5-upstream"])
    def test_a_path_that_is_used_again_speaks_with_the_first_voice(
        self, infer: Callable[..., Any], stand_ins: SimpleNamespace, tmp_path: Path
    ) -> None:
        spoken = []
        for hertz in (200, 300):
            again = reference(tmp_path, sample(hertz), name="upload.wav")
            spoken.append(pitch(infer(again.path, "今天天气不错。")[0][0] / 32_767))
        assert spoken[0] == pytest.approx(spoken[1], abs=2)

    @every_version
    def test_a_generation_that_ends_at_once_raises(
        self, infer: Callable[..., Any], faults: Any, tmp_path: Path
    ) -> None:
        faults.ends_at_once = True
        with pytest.raises(RuntimeError, match="input size"):
            infer(reference(tmp_path, sample(200)).path, "你好。")

    @every_version
    def test_samples_are_of_another_scale(self, infer: Callable[..., Any], tmp_path: Path) -> None:
        voice = reference(tmp_path, sample(200))
        assert abs(infer(voice.path, "今天天气不错。")[0]).max() > 5000


class TestImport:
    def test_the_variable_that_upstream_sets_on_import_is_as_it_was(
        self, start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", "/somewhere")
        engine, _ = start(VERSION="2.5", PACKAGE="index-tts")
        assert os.environ["HF_HUB_CACHE"] == "/somewhere"
        monkeypatch.delenv("HF_HUB_CACHE")
        assert engine.speak(utterance("你好。", reference(tmp_path, sample(200))), never).samples.size

    def test_without_the_chinese_normaliser_the_package_is_refused(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start()
        monkeypatch.setattr(importlib.import_module("indextts25.infer_v2_5"), "has_zh_extra", False)
        with pytest.raises(RuntimeError, match="WeTextProcessing is not installed"):
            start()
