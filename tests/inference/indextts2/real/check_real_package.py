"""The engine with the real packages on the CPU: `make test-indextts`. Not collected by `make test`.

What is asked here is whether the packages are built as the engine takes them to be. The weights are random, so nothing
is asked of the sound but its form.
"""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speech_server.engines.base import Cancelled
from speech_server.engines.indextts2.engine import IndexTTS2Engine
from tests.inference.indextts2.material import (
    SAMPLE_RATE,
    described,
    heard_in,
    in_vector,
    never,
    reference,
    sample,
    utterance,
)
from tools.bench_gpu import random_weights

# what must be importable, the package's name, its version, how its weights are made
CASES = (
    ("indextts25", "indextts25-inference", "2.5", random_weights.write_v25),
    ("indextts", "index-tts", "2", random_weights.write_v2),
    ("indextts", "index-tts", "2.5", random_weights.write_v25),
)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[1]}-v{case[2]}")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    module, package, version, write = request.param
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{package} is not installed here: inference/requirements-indextts2.in says how")
    folder = tmp_path_factory.mktemp(f"weights-{version}")
    write(folder, module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECH_ENGINE_WEIGHTS", str(folder))
        patch.setenv("SPEECH_ENGINE_VERSION", version)
        patch.setenv("SPEECH_ENGINE_PACKAGE", package)
        patch.setenv("SPEECH_ENGINE_DEVICE", "cpu")
        patch.setenv("SPEECH_WORK_DIR", str(tmp_path_factory.mktemp("work")))
        loaded = IndexTTS2Engine()
        loaded.load()
        yield loaded


@pytest.fixture
def voice(tmp_path: Path) -> Any:
    return reference(tmp_path, sample(200))


TEXT = "你好，今天yao4有12个苹果。"


class TestSpeaking:
    def test_sound_in_range(self, engine: IndexTTS2Engine, voice: Any) -> None:
        speech = engine.speak(utterance(TEXT, voice), never)
        assert speech.samples.dtype == np.float32
        assert speech.samples.size > SAMPLE_RATE // 10
        assert np.isfinite(speech.samples).all()
        assert np.abs(speech.samples).max() <= 1

    def test_the_same_seed_gives_the_same_samples_warm_or_cold(self, engine: IndexTTS2Engine, tmp_path: Path) -> None:
        fresh = reference(tmp_path, sample(417))
        cold, warm = (engine.speak(utterance(TEXT, fresh), never).samples for _ in range(2))
        np.testing.assert_array_equal(cold, warm)

    def test_one_path_with_two_contents_is_two_voices(self, engine: IndexTTS2Engine, tmp_path: Path) -> None:
        spoken = []
        for hertz in (200, 700, 200):
            again = reference(tmp_path, sample(hertz), name="upload.wav")
            spoken.append(engine.speak(utterance(TEXT, again), never).samples)
        np.testing.assert_array_equal(spoken[0], spoken[2])
        assert spoken[0].size != spoken[1].size or not np.array_equal(spoken[0], spoken[1])

    def test_parts_are_the_whole(self, engine: IndexTTS2Engine, voice: Any) -> None:
        said = utterance("你好。\n\nThe second one.", voice)
        parts = list(engine.segments(said, never))
        assert [part.language for part in parts] == ["zh", "en"]
        np.testing.assert_array_equal(
            np.concatenate([part.samples for part in parts]), engine.speak(said, never).samples
        )

    def test_nothing_is_printed(self, engine: IndexTTS2Engine, voice: Any, capfd: pytest.CaptureFixture[str]) -> None:
        engine.speak(utterance("机密的句子。", voice, emotion=described("机密的愤怒")), never)
        assert "".join(capfd.readouterr()) == ""


class TestEmotion:
    def test_every_form_is_taken_and_changes_the_sound(
        self, engine: IndexTTS2Engine, voice: Any, tmp_path: Path
    ) -> None:
        plain = engine.speak(utterance(TEXT, voice), never).samples
        feeling = reference(tmp_path, sample(555))
        for emotion in (in_vector((0, 0.8, 0, 0, 0, 0, 0, 0)), heard_in(feeling, 0.9)):
            changed = engine.speak(utterance(TEXT, voice, emotion=emotion), never).samples
            assert changed.size != plain.size or not np.array_equal(changed, plain)

    def test_a_description_that_is_answered_with_nonsense_is_bounded(self, engine: IndexTTS2Engine, voice: Any) -> None:
        warnings = engine.speak(utterance(TEXT, voice, emotion=described("愤怒地质问")), never).warnings
        assert [warning.partition(":")[0] for warning in warnings] == ["emotion_unscored"]


class TestCancel:
    @pytest.mark.parametrize("asked_before", [1, 20, 50, 75])
    def test_anywhere_and_the_engine_stays_usable(
        self, engine: IndexTTS2Engine, tmp_path: Path, asked_before: int
    ) -> None:
        fresh = reference(tmp_path, sample(200 + asked_before))
        asked = threading.Semaphore(asked_before)
        with pytest.raises(Cancelled):
            engine.speak(utterance(TEXT * 4, fresh), lambda: not asked.acquire(blocking=False))
        assert engine.speak(utterance(TEXT, fresh), never).samples.size > 0

    def test_it_is_asked_in_every_stage(self, engine: IndexTTS2Engine, tmp_path: Path) -> None:
        asked = 0

        def count() -> bool:
            nonlocal asked
            asked += 1
            return False

        engine.speak(utterance("你好。", reference(tmp_path, sample(333))), count)
        # 2 x 17 layers of listening, 25 steps of diffusion, 18 blocks of the vocoder, and a few tokens
        assert asked > 34 + 25 + 18


class TestDuration:
    def test_the_native_factor(self, engine: IndexTTS2Engine, voice: Any) -> None:
        if not engine._settings.package.native_duration:
            pytest.skip("version 2 has none")
        natural, slow = (
            engine.speak(utterance(TEXT, voice, duration_factor=factor), never).samples.size for factor in (1.0, 1.5)
        )
        assert slow == pytest.approx(1.5 * natural, rel=0.1)
