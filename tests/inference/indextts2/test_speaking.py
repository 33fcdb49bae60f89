"""The engine's promises, kept with stand-ins that have the model's faults."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from speech_server.engines.base import Cancelled, Speech, UtteranceError
from speech_server.engines.indextts2.precision import PrecisionError
from tests.inference.indextts2.material import (
    SAMPLE_RATE,
    VERSION_NAMES,
    VERSIONS,
    described,
    heard_in,
    in_vector,
    loudness,
    never,
    pitch,
    reference,
    sample,
    utterance,
)

every_version = pytest.mark.parametrize("version", VERSIONS, ids=VERSION_NAMES)


@pytest.fixture
def voice(tmp_path: Path) -> Any:
    return reference(tmp_path, sample(200))


def tone_of(stand_ins: SimpleNamespace, content: bytes) -> float:
    return stand_ins.strict_model.pitch_of(content)


class TestVoices:
    @every_version
    def test_one_path_with_two_contents_speaks_with_two_voices(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, tmp_path: Path, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        for hertz in (200, 300, 200):
            again = reference(tmp_path, sample(hertz), name="upload.wav")
            speech = engine.speak(utterance("你好，今天天气不错。", again), never)
            assert pitch(speech.samples) == pytest.approx(tone_of(stand_ins, sample(hertz)), abs=2)

    @every_version
    def test_a_warm_voice_costs_nothing_again(
        self, start: Callable[..., Any], faults: Any, tmp_path: Path, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        voices = [reference(tmp_path, sample(hertz)) for hertz in range(200, 320, 10)]
        for _ in range(2):
            for one in voices:
                engine.speak(utterance("你好。再见。", one), never)
        # once for the voice, once for the emotion that it brings
        assert sorted(faults.listened) == sorted([one.path for one in voices] * 2)

    def test_nor_does_the_mixture_of_a_warm_voice_and_its_emotion(
        self, start: Callable[..., Any], faults: Any, tmp_path: Path
    ) -> None:
        engine, _ = start()
        voices = [reference(tmp_path, sample(hertz)) for hertz in (200, 300)]
        feeling = heard_in(reference(tmp_path, sample(400)), 0.7)
        for _ in range(3):
            for one in voices:
                engine.speak(utterance("你好。\n\n再见。", one), never)
                engine.speak(utterance("你好。\n\n再见。", one, emotion=feeling), never)
        assert faults.mixed == [1.0, 0.7] * 2
        stronger = heard_in(reference(tmp_path, sample(400)), 0.9)
        engine.speak(utterance("你好。\n\n再见。", voices[0], emotion=stronger), never)
        assert faults.mixed == [1.0, 0.7, 1.0, 0.7, 0.9]

    def test_the_least_recently_used_voice_goes_when_the_budget_is_used_up(
        self, start: Callable[..., Any], faults: Any, tmp_path: Path
    ) -> None:
        engine, _ = start(VERSION="2", WARM_MEGABYTES="24")  # a voice and its emotion are 7.5
        voices = [reference(tmp_path, sample(hertz)) for hertz in (200, 210, 220, 230)]
        for one in voices:
            engine.speak(utterance("你好。", one), never)
        faults.listened.clear()
        engine.speak(utterance("你好。", voices[3]), never)
        assert faults.listened == []
        engine.speak(utterance("你好。", voices[0]), never)
        assert voices[0].path in faults.listened

    @every_version
    def test_a_changed_or_vanished_file_is_an_error_and_not_another_voice(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        Path(voice.path).write_bytes(sample(900))
        for _ in range(2):
            with pytest.raises(UtteranceError) as caught:
                engine.speak(utterance("你好。", voice), never)
            assert caught.value.code == "reference_lost"
            Path(voice.path).unlink(missing_ok=True)
        assert faults.calls == []

    def test_without_a_voice_the_request_is_at_fault(self, start: Callable[..., Any]) -> None:
        engine, capabilities = start()
        assert capabilities.voices == ()
        with pytest.raises(UtteranceError) as caught:
            engine.speak(utterance("你好。", None), never)
        assert (caught.value.code, caught.value.param) == ("voice_required", "voice")

    def test_an_operators_voices_are_built_in(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, tmp_path: Path
    ) -> None:
        folder = tmp_path / "voices"
        folder.mkdir()
        (folder / "anna.wav").write_bytes(sample(250))
        (folder / "default.wav").write_bytes(sample(350))
        engine, capabilities = start(VOICES=str(folder))
        assert capabilities.voices == ("default", "anna")
        unnamed = engine.speak(utterance("你好，今天天气不错。", None), never)
        named = engine.speak(utterance("你好，今天天气不错。", None, voice="anna"), never)
        assert pitch(unnamed.samples) == pytest.approx(tone_of(stand_ins, sample(350)), abs=2)
        assert pitch(named.samples) == pytest.approx(tone_of(stand_ins, sample(250)), abs=2)
        with pytest.raises(UtteranceError, match="default, anna"):
            engine.speak(utterance("你好。", None, voice="bob"), never)

    def test_a_long_sample_is_said_to_be_cut(self, start: Callable[..., Any], tmp_path: Path) -> None:
        engine, _ = start()
        long = reference(tmp_path, sample(200), seconds=22.0)
        assert any(w.startswith("reference_cut:") for w in engine.speak(utterance("你好。", long), never).warnings)


class TestSound:
    @every_version
    def test_samples_are_in_range_with_neither_clicks_nor_the_models_silence(
        self, start: Callable[..., Any], voice: Any, version: dict[str, str]
    ) -> None:
        engine, capabilities = start(**version)
        speech = engine.speak(utterance("今天天气不错，我们去公园玩吧。" * 12, voice), never)
        assert speech.sample_rate == capabilities.sample_rate == SAMPLE_RATE
        assert speech.samples.dtype == np.float32
        assert 0.15 < np.abs(speech.samples).max() <= 1
        assert abs(speech.samples[0]) < 0.001
        assert abs(speech.samples[-1]) < 0.001

    @every_version
    def test_the_same_seed_gives_the_same_samples_warm_or_cold_whole_or_in_parts(
        self, start: Callable[..., Any], voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        said = utterance("你好，世界。今天有12个苹果。" * 6, voice)
        cold = engine.speak(said, never)
        engine.speak(utterance("别的。", voice, seed=1), never)
        parts = [part.samples for part in engine.segments(said, never)]
        assert len(parts) > 1
        np.testing.assert_array_equal(cold.samples, np.concatenate(parts))

    def test_no_seed_is_another_one_each_time(self, start: Callable[..., Any], voice: Any) -> None:
        engine, _ = start()
        first, second = (engine.speak(utterance("你好，世界。", voice, seed=None), never) for _ in range(2))
        assert first.samples.size != second.samples.size

    def test_segments_come_one_by_one_with_what_they_say(
        self, start: Callable[..., Any], faults: Any, voice: Any
    ) -> None:
        engine, _ = start()
        parts = engine.segments(utterance("第一句话在这里。\n\nThe second one.\n\n三番目です。", voice), never)
        first = next(parts)
        assert (first.text, first.language, len(faults.calls)) == ("第一句话在这里。", "zh", 1)
        assert [(part.text, part.language) for part in parts] == [("The second one.", "en"), ("三番目です。", "ja")]

    @every_version
    def test_after_a_fault_it_goes_on_where_it_was(
        self, start: Callable[..., Any], voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        said = utterance("你好，世界。今天有12个苹果。" * 18, voice)
        whole = list(engine.segments(said, never))
        assert len(whole) > 2
        assert [part.last for part in whole] == [False] * (len(whole) - 1) + [True]
        for done in range(1, len(whole)):
            rest = list(engine.segments(replace(said, segments_done=done), never))
            assert [part.text for part in rest] == [part.text for part in whole[done:]]
            # the pause before the first of them as well
            for found, expected in zip(rest, whole[done:], strict=True):
                np.testing.assert_array_equal(found.samples, expected.samples)

    def test_for_lack_of_memory_it_goes_on_in_smaller_pieces_of_the_same_segments(
        self, start: Callable[..., Any], faults: Any, voice: Any
    ) -> None:
        engine, _ = start()
        said = utterance("今天天气不错，我们去公园玩吧。" * 24, voice)
        texts = [part.text for part in engine.segments(said, never)]
        faults.most_beam_tokens = 60
        rest = list(engine.segments(replace(said, segments_done=1, small_footprint=True), never))
        assert [part.text for part in rest] == texts[1:]
        assert all(part.samples.size for part in rest)

    @pytest.mark.parametrize("text", ["5", "a", "好"])
    def test_a_single_character_is_normalised_as_well(
        self, start: Callable[..., Any], faults: Any, voice: Any, text: str
    ) -> None:
        engine, _ = start(VERSION="2")
        engine.speak(utterance(text, voice), never)
        assert len(faults.calls[0]["text"]) == 2


class TestText:
    @every_version
    @pytest.mark.parametrize("text", ["！？。……", "", "   ", "🎉🎉", "---"])
    def test_what_would_be_noise_is_refused_before_the_gpu_is_used(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str], text: str
    ) -> None:
        engine, _ = start(**version)
        with pytest.raises(UtteranceError) as caught:
            engine.speak(utterance(text, voice), never)
        assert caught.value.code == "no_speech"
        assert faults.calls == []

    @every_version
    def test_marks_alone_inside_a_text_are_never_spoken(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        engine.speak(utterance("你好。\n\n。。。\n\n！！！\n再见。", voice), never)
        assert all(any(map(str.isalnum, call["text"])) for call in faults.calls)

    @pytest.mark.parametrize(
        ("version", "text", "named"),
        [("2", "こんにちは", "Japanese"), ("2", "你好 안녕하세요", "Korean"), ("2.5", "안녕", "Korean"),
         ("2.5", "Привет, мир", "a script"), ("2", "مرحبا بالعالم", "Arabic"), ("2", "Hola, ¿qué tal?", "Spanish")],
    )  # fmt: skip
    def test_a_language_that_is_not_spoken_is_said_before_the_gpu_is_used(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: str, text: str, named: str
    ) -> None:
        engine, _ = start(VERSION=version)
        with pytest.raises(UtteranceError, match=named) as caught:
            engine.speak(utterance(text, voice), never)
        assert caught.value.code == "language_unsupported"
        assert caught.value.message.isascii()
        assert faults.calls == []

    @pytest.mark.parametrize(("version", "language"), [("2", "ja"), ("2.5", "ko-KR"), ("2.5", "fr"), ("2", "es")])
    def test_so_is_a_language_that_is_asked_for(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: str, language: str
    ) -> None:
        engine, _ = start(VERSION=version)
        with pytest.raises(UtteranceError) as caught:
            engine.speak(utterance("123", voice, language=language), never)
        assert (caught.value.code, caught.value.param) == ("language_unsupported", "language")
        assert faults.calls == []
        engine.speak(utterance("123", voice, language="cmn-Hans-CN"), never)

    def test_each_segment_is_spoken_in_its_language(self, start: Callable[..., Any], faults: Any, voice: Any) -> None:
        engine, _ = start()
        engine.speak(utterance("用GPU训练。Hello world. こんにちは。Hola, ¿cómo estás? مرحبا.", voice), never)
        assert [call["lang"] for call in faults.calls] == ["zh", "en", "ja", "es", "ar"]

    @pytest.mark.parametrize("text", ["<|endoftext|>你好", "你<pinyin_a>好", "<n_a>你好<H>", "你好<|SPECIAL_TOKEN_1|>"])
    @every_version
    def test_no_token_or_placeholder_of_the_models_can_be_written(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str], text: str
    ) -> None:
        engine, _ = start(**version)
        engine.speak(utterance(text, voice), never)
        assert not any(set("<>|") & set(call["text"]) for call in faults.calls)

    @every_version
    def test_a_text_that_the_normaliser_fails_on_is_the_texts_fault(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        engine._model._normalizer.fails_on = "毒"
        with pytest.raises(UtteranceError, match="can read"):
            engine.speak(utterance("毒药。", voice), never)
        assert faults.calls == []
        warnings = engine.speak(utterance("毒药。\n\n你好。", voice), never).warnings
        assert [w.partition(":")[0] for w in warnings] == ["text_unreadable"]

    @every_version
    def test_a_long_text_stays_within_the_models_limit(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        text = "".join(f"第{number}句话说的是今天的天气不错，我们去公园玩吧。" for number in range(40))
        engine.speak(utterance(text, voice), never)
        assert all(call["tokens"] <= 120 for call in faults.calls)
        assert faults.calls[0]["tokens"] <= 60
        assert "".join(call["text"] for call in faults.calls).replace(" ", "") == text

    def test_a_glossary_is_handed_to_the_model(
        self, start: Callable[..., Any], faults: Any, voice: Any, tmp_path: Path
    ) -> None:
        path = tmp_path / "glossary.json"
        path.write_text('{"NVMe": {"zh": "恩威迷", "en": "N V M E"}}', encoding="utf-8")
        engine, _ = start(GLOSSARY=str(path))
        with_reading = engine._model.count_tokens("一个NVMe盘。", "zh")
        assert with_reading == engine._model.count_tokens("一个恩威迷盘。", "zh")


class TestPronunciation:
    @pytest.mark.parametrize(
        ("version", "text", "given"),
        [
            ("2", "你为什么yao4 zhe4yang4做?", "你为什么YAO4 ZHE4YANG4做?"),
            ("2", "ju2子和lv4色，wan2r5吧", "JV2子和LV4色，WAN2儿吧"),
            ("2", "<行|XING2>人", "XING2人"),
            ("2.5", "你为什么yao4 zhe4yang4做?", "你为什么<你|YAO4> <你|ZHE4><你|YANG4>做?"),
            ("2.5", "银<行|hang2>", "银<你|HANG2>"),
            ("2.5", "He had a <minute|m ih1 . n ah0 t>.", "He had a <minute|M IH1 . N AH0 T>."),
            ("2.5", "料理が<上手|じょうず>だ", "料理が<上手|じょうず>だ"),
        ],
    )
    def test_readings_reach_the_model_in_its_own_form(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: str, text: str, given: str
    ) -> None:
        engine, _ = start(VERSION=version)
        engine.speak(utterance(text, voice), never)
        assert faults.calls[0]["text"] == given

    @pytest.mark.parametrize("text", ["<行|XING9>人", "<minute|FOO BAR>", "<行|>x<行|abc>", "吃fiao4", "<字|ZHEI4>"])
    def test_a_reading_that_is_none_is_refused(
        self, start: Callable[..., Any], faults: Any, voice: Any, text: str
    ) -> None:
        engine, _ = start()
        with pytest.raises(UtteranceError) as caught:
            engine.speak(utterance(text, voice), never)
        assert caught.value.code == "invalid_pronunciation"
        assert faults.calls == []

    def test_version_2_says_what_it_does_not_read(self, start: Callable[..., Any], faults: Any, voice: Any) -> None:
        engine, _ = start(VERSION="2")
        speech = engine.speak(utterance("A <minute|M IH1 . N AH0 T> ago.", voice), never)
        assert faults.calls[0]["text"] == "A minute ago."
        assert speech.warnings[0].startswith("pronunciation_unsupported:")


class TestEmotion:
    @every_version
    def test_a_vector_is_tamed_and_scaled_by_the_intensity(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        speech = engine.speak(utterance("你好。", voice, emotion=in_vector((0, 1, 1, 0, 0, 0, 0, 0), 0.5)), never)
        assert faults.calls[0]["emo_vector"] == pytest.approx([0, 0.1866, 0.2133, 0, 0, 0, 0, 0], abs=1e-3)
        assert speech.warnings[0].startswith("emotion_capped:")

    def test_a_description_is_scored_once_and_is_as_loud_as_its_intensity(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, faults: Any, voice: Any
    ) -> None:
        engine, _ = start()
        stand_ins.transformers.calls.clear()
        for intensity in (0.8, 0.4, 0.8):
            engine.speak(utterance("你好。", voice, emotion=described("愤怒地质问", intensity)), never)
        assert stand_ins.transformers.calls == ["愤怒地质问"]
        vectors = [call["emo_vector"] for call in faults.calls]
        assert vectors[0] == vectors[2]
        assert vectors[0] == pytest.approx([2 * value for value in vectors[1]])
        assert max(vectors[0]) == vectors[0][1]
        assert sum(vectors[0]) <= 0.8

    def test_a_description_without_end_is_bounded_and_said_to_be_unscored(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, voice: Any
    ) -> None:
        engine, _ = start()
        stand_ins.transformers.written.clear()
        for description in ("forever", "nonsense"):
            speech = engine.speak(utterance("你好。", voice, emotion=described(description)), never)
            assert [w.partition(":")[0] for w in speech.warnings] == ["emotion_unscored"]
        assert max(stand_ins.transformers.written) <= 160

    @every_version
    def test_a_sample_gives_the_emotion_and_no_vector_discards_it(
        self, start: Callable[..., Any], faults: Any, voice: Any, tmp_path: Path, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        plain = engine.speak(utterance("你好，今天天气不错。", voice), never)
        feeling = reference(tmp_path, sample(500))
        emotional = engine.speak(utterance("你好，今天天气不错。", voice, emotion=heard_in(feeling, 0.5)), never)
        assert (faults.calls[1]["emo_vector"], faults.calls[1]["emo"]) == (None, feeling.path)
        assert loudness(plain.samples) == pytest.approx(0.2, abs=0.02)
        assert loudness(emotional.samples) == pytest.approx(0.3, abs=0.02)
        assert pitch(emotional.samples) == pytest.approx(pitch(plain.samples), abs=2)

    def test_intensity_0_leaves_the_voice_as_it_is(self, start: Callable[..., Any], faults: Any, voice: Any) -> None:
        engine, _ = start()
        engine.speak(utterance("你好。", voice, emotion=in_vector((1, 0, 0, 0, 0, 0, 0, 0), 0.0)), never)
        assert faults.calls[0]["emo_vector"] is None

    def test_without_the_model_a_description_is_answered_with_a_warning(
        self, start: Callable[..., Any], tmp_path: Path, voice: Any
    ) -> None:
        folder = tmp_path / "weights-2.5"
        engine, _ = start()
        (folder / "qwen0.6bemo4-merge/model.safetensors").unlink()
        engine, _ = start(folder)
        speech = engine.speak(utterance("你好。", voice, emotion=described("愤怒")), never)
        assert [w.partition(":")[0] for w in speech.warnings] == ["emotion_unsupported"]


class TestDuration:
    def test_version_25_is_given_the_factor_within_what_it_does(self, start: Callable[..., Any], voice: Any) -> None:
        engine, capabilities = start()
        assert capabilities.native_duration
        natural, slow = (
            engine.speak(utterance("今天天气不错，我们去公园玩吧。", voice, duration_factor=factor), never)
            for factor in (None, 1.25)
        )
        assert slow.samples.size == pytest.approx(1.25 * natural.samples.size, rel=0.05)
        fast = engine.speak(utterance("你好。", voice, duration_factor=0.5), never)
        assert fast.warnings[0].startswith("duration_limited:")

    def test_version_2_says_that_it_cannot(self, start: Callable[..., Any], voice: Any) -> None:
        engine, capabilities = start(VERSION="2")
        assert not capabilities.native_duration
        warnings = engine.speak(utterance("你好。", voice, duration_factor=1.1), never).warnings
        assert warnings[0].startswith("duration_unsupported:")


class TestPrecision:
    @pytest.mark.parametrize(("asked", "products"), [({}, "highest"), ({"TF32": "true"}, "high")])
    def test_products_are_shortened_only_where_that_is_asked_for(
        self,
        start: Callable[..., Any],
        stand_ins: SimpleNamespace,
        capsys: pytest.CaptureFixture[str],
        asked: dict[str, str],
        products: str,
    ) -> None:
        stand_ins.torch.simulated.total_memory, stand_ins.torch.simulated.capability = 24 << 30, (8, 9)
        start(**asked)
        assert stand_ins.torch.simulated.products == products
        assert ("in fp32 on cuda:0, products in TF32" in capsys.readouterr().out) == bool(asked)

    def test_a_card_without_such_units_says_so(self, start: Callable[..., Any]) -> None:
        with pytest.raises(PrecisionError, match=r"this card has 7\.5"):
            start(TF32="true")


class TestSmallCards:
    LONG = "今天天气很好，我们一起去公园散步，然后在湖边吃午饭。" * 8

    def test_one_is_taken_care_of_unasked(
        self,
        start: Callable[..., Any],
        stand_ins: SimpleNamespace,
        faults: Any,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        stand_ins.torch.simulated.total_memory, stand_ins.torch.simulated.capability = 8 << 30, (8, 6)
        engine, _ = start()
        assert "in bf16 on cuda:0, in low-memory mode: the card has 8.0 GiB" in capsys.readouterr().out
        voices = [reference(tmp_path, sample(hertz)) for hertz in (200, 300)]
        for voice in (voices[0], voices[0], voices[1], voices[0]):
            engine.speak(utterance(self.LONG, voice), never)
        assert max(call["tokens"] for call in faults.calls) <= 60
        # each time that the voice changes, its sample is listened to again, for the voice and for its emotion
        assert len(faults.listened) == 2 * 3

    def test_one_that_only_emulates_bf16_gets_none(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stand_ins.torch.simulated.total_memory = 6 << 30  # capability 7.5
        start()
        assert "in fp32 on cuda:0, in low-memory mode" in capsys.readouterr().out

    @pytest.mark.parametrize(("total", "asked"), [(16 << 30, "auto"), (8 << 30, "false")])
    def test_one_with_room_or_so_declared_speaks_long_segments(
        self,
        start: Callable[..., Any],
        stand_ins: SimpleNamespace,
        faults: Any,
        voice: Any,
        capsys: pytest.CaptureFixture[str],
        total: int,
        asked: str,
    ) -> None:
        stand_ins.torch.simulated.total_memory = total
        engine, _ = start(LOW_MEMORY=asked)
        assert "low-memory" not in capsys.readouterr().out
        engine.speak(utterance(self.LONG, voice), never)
        assert 60 < max(call["tokens"] for call in faults.calls) <= 120


class TestCancel:
    def test_while_a_long_text_is_cut_into_segments(self, start: Callable[..., Any], faults: Any, voice: Any) -> None:
        engine, _ = start()
        asked = iter([False] * 20)
        with pytest.raises(Cancelled):
            engine.speak(
                utterance("".join(f"今天有{number}。" for number in range(500)), voice), lambda: next(asked, True)
            )
        assert faults.calls == []

    @every_version
    @pytest.mark.parametrize("stage", ["listening", "gpt", "diffusion", "vocoder"])
    def test_a_cancel_in_any_stage_is_obeyed_and_the_engine_stays_usable(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, faults: Any, voice: Any,
        version: dict[str, str], stage: str,
    ) -> None:  # fmt: skip
        engine, _ = start(**version)
        cancelled = threading.Event()
        steps: list[str] = []

        def reached(found: str) -> None:
            if found == stage:
                cancelled.set()
            if cancelled.is_set():
                steps.append(found)

        faults.hang_in = reached
        with pytest.raises(Cancelled):
            engine.speak(utterance("今天天气不错。", voice), cancelled.is_set)
        assert len(steps) <= 2  # it went no further
        faults.hang_in = None
        speech = engine.speak(utterance("今天天气不错。", voice), never)
        assert pitch(speech.samples) == pytest.approx(tone_of(stand_ins, sample(200)), abs=2)

    def test_a_cancel_while_a_description_is_scored(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, voice: Any
    ) -> None:
        engine, _ = start()
        stand_ins.transformers.written.clear()
        asked = iter([False] * 5)
        with pytest.raises(Cancelled):
            engine.speak(utterance("你好。", voice, emotion=described("forever")), lambda: next(asked, True))

    def test_cancelled_between_two_segments(self, start: Callable[..., Any], faults: Any, voice: Any) -> None:
        engine, _ = start()
        cancelled = threading.Event()
        parts = engine.segments(utterance("一。\n\n二。\n\n三。", voice), cancelled.is_set)
        next(parts)
        cancelled.set()
        with pytest.raises(Cancelled):
            next(parts)
        assert len(faults.calls) == 1


class TestMemory:
    @every_version
    def test_no_voice_leaves_a_graph_behind(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, tmp_path: Path, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        for hertz in range(200, 300, 5):  # 20 voices: 80 GiB with gradients on
            engine.speak(utterance("你好。", reference(tmp_path, sample(hertz))), never)
        assert stand_ins.torch.simulated.allocated == 0

    def test_the_stand_in_does_run_out_with_gradients_on(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, tmp_path: Path
    ) -> None:
        engine, _ = start(VERSION="2")
        with pytest.raises(stand_ins.torch.OutOfMemoryError):
            for hertz in range(200, 300, 5):
                path = reference(tmp_path, sample(hertz)).path
                list(engine._model._tts.infer_generator(path, "你好。", None, stream_return=True))

    @every_version
    def test_out_of_memory_is_tried_again_in_smaller_pieces_with_one_beam(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        faults.most_beam_tokens = 60
        emptied = stand_ins.torch.simulated.emptied
        speech = engine.speak(utterance("今天天气不错，我们去公园玩吧，好不好呀你说呢。", voice), never)
        assert faults.calls[0]["num_beams"] == 3
        assert {call["num_beams"] for call in faults.calls[1:]} == {1}
        assert stand_ins.torch.simulated.emptied > emptied
        assert speech.samples.size > 0
        assert speech.warnings == ()

    def test_out_of_memory_twice_is_a_fault_for_the_server(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, faults: Any, voice: Any
    ) -> None:
        engine, _ = start()
        faults.most_beam_tokens = 0
        with pytest.raises(stand_ins.torch.OutOfMemoryError):
            engine.speak(utterance("今天天气不错。", voice), never)

    def test_the_servers_retry_uses_small_segments_and_one_beam_at_once(
        self, start: Callable[..., Any], faults: Any, voice: Any
    ) -> None:
        engine, _ = start()
        text = "今天天气不错，我们去公园玩吧。" * 20
        engine.speak(utterance(text, voice, small_footprint=True), never)
        assert {call["num_beams"] for call in faults.calls} == {1}
        assert max(call["tokens"] for call in faults.calls) <= 60

    def test_recoveries_calls_and_growth_wear_a_process_out(
        self, start: Callable[..., Any], stand_ins: SimpleNamespace, faults: Any, voice: Any
    ) -> None:
        engine, _ = start(RECYCLE_CALLS="5", RECYCLE_GROWTH_MEGABYTES="100")
        assert engine.recycle_reason() is None
        stand_ins.torch.simulated.allocated += 101 << 20
        assert "grew by 101 MiB" in engine.recycle_reason()
        stand_ins.torch.simulated.allocated = 0
        faults.most_beam_tokens = 60
        for _ in range(3):
            engine.speak(utterance("今天天气不错，我们去公园玩吧，好不好呀你说呢。", voice), never)
        assert "failed 3 times" in engine.recycle_reason()


class TestFailures:
    @every_version
    def test_a_text_that_the_models_code_fails_on_does_not_end_the_process(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        faults.raises = IndexError("index 601 is out of bounds: 机密")
        with pytest.raises(UtteranceError) as caught:
            engine.speak(utterance("机密。", voice), never)
        assert caught.value.code == "speech_failed"
        assert "机密" not in caught.value.message
        faults.raises = None
        assert engine.speak(utterance("你好。", voice), never).samples.size > 0

    @pytest.mark.parametrize(
        "error", [RuntimeError("CUDA error: device-side assert triggered"), AssertionError("another voice")]
    )
    def test_one_that_cuda_fails_on_does(
        self, start: Callable[..., Any], faults: Any, voice: Any, error: Exception
    ) -> None:
        engine, _ = start()
        faults.raises = error
        with pytest.raises(type(error)):
            engine.speak(utterance("你好。", voice), never)


class TestRunaway:
    @every_version
    def test_a_generation_without_end_is_cut_short_and_spoken_in_parts(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        faults.runaway_above = 20
        speech = engine.speak(utterance("今天天气不错，我们去公园玩吧，好不好呀你说呢。", voice), never)
        assert len(faults.calls) > 1
        assert faults.calls[0]["max_mel_tokens"] <= 1500
        assert "".join(call["text"] for call in faults.calls[1:]) == "今天天气不错，我们去公园玩吧，好不好呀你说呢。"
        assert speech.samples.size > 0

    @every_version
    def test_a_generation_cannot_end_before_it_began(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        faults.ends_at_once = True
        assert engine.speak(utterance("你好。", voice), never).samples.size > 0

    def test_one_that_cannot_be_mended_is_told(self, start: Callable[..., Any], faults: Any, voice: Any) -> None:
        engine, _ = start()
        faults.runaway_above = 0
        speech: Speech = engine.speak(utterance("你好。", voice), never)
        assert [w.partition(":")[0] for w in speech.warnings] == ["speech_cut"]


class TestConcurrency:
    @every_version
    def test_the_stand_in_refuses_a_second_call(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str]
    ) -> None:
        engine, _ = start(**version)
        refused: list[str] = []

        def second(_: str) -> None:
            faults.hang_in = None
            with pytest.raises(UtteranceError) as caught:
                engine.speak(utterance("再见。", voice), never)
            refused.append(str(caught.value.__cause__))

        faults.hang_in = second
        engine.speak(utterance("你好。", voice), never)
        assert refused == ["Already borrowed"]


class TestPrinted:
    @every_version
    def test_nothing_of_a_text_is_printed_logged_or_warned_of(
        self, start: Callable[..., Any], faults: Any, voice: Any, version: dict[str, str],
        capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder,
    ) -> None:  # fmt: skip
        engine, _ = start(**version)
        faults.runaway_above = 0
        engine.speak(utterance("机密的句子。", voice, emotion=described("机密的愤怒")), never)
        out, err = capfd.readouterr()
        assert "bilibili Model Use License" in out
        assert "机密" not in out + err + caplog.text
        assert not recwarn.list
