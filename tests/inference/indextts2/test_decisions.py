"""What is decided from plain data: settings, weights, precision, parameters, emotions, when to recycle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_server.engines.base import Reference
from speech_server.engines.indextts2 import emotion
from speech_server.engines.indextts2.accelerator import is_out_of_memory
from speech_server.engines.indextts2.built_in_voices import VoiceFolderError, read_voices
from speech_server.engines.indextts2.emotion_scores import scores_of
from speech_server.engines.indextts2.footprint import choose_footprint
from speech_server.engines.indextts2.generation import DEFAULTS, call_parameters, read_generation
from speech_server.engines.indextts2.glossary import GlossaryError, read_glossary
from speech_server.engines.indextts2.packages import PACKAGES, Package, package_for
from speech_server.engines.indextts2.precision import PrecisionError, check_tf32, choose_precision
from speech_server.engines.indextts2.recycling import RecycleLimits, Wear, recycle_reason
from speech_server.engines.indextts2.references import ReferenceFiles, engine_folder
from speech_server.engines.indextts2.settings import EngineSettingsError, read_engine_settings
from speech_server.engines.indextts2.voicing import segment_seed
from speech_server.engines.indextts2.warm_voices import WarmVoices
from speech_server.engines.indextts2.weights import WeightsError, check_weights, emotion_model, required_files
from tests.inference.indextts2.material import reference, sample, write_weights

GIGABYTE = 1 << 30
V2 = package_for("2", None)
V25 = package_for("2.5", None)


class TestSettings:
    def test_defaults(self, tmp_path: Path) -> None:
        settings = read_engine_settings({"SPEECH_ENGINE_WEIGHTS": str(tmp_path), "SPEECH_ENGINE": "indextts2"})
        assert (settings.package.name, settings.package.version) == ("indextts25-inference", "2.5")
        assert (settings.precision, settings.segment_tokens, settings.low_memory) == ("auto", 120, None)
        assert settings.generation == DEFAULTS

    def test_every_problem_is_named_at_once(self) -> None:
        with pytest.raises(EngineSettingsError) as caught:
            read_engine_settings(
                {
                    "SPEECH_ENGINE_VERSION": "3",
                    "SPEECH_ENGINE_PRECISION": "int4",
                    "SPEECH_ENGINE_LOW_MEMORY": "yes",
                    "SPEECH_ENGINE_VOICES": "relative",
                    "SPEECH_ENGINE_GENERATION": '{"temperature": 9, "use_random": true}',
                    "SPEECH_ENGINE_SEGMENT_TOKENS": "1",
                    "SPEECH_ENGINE_DEVICE": "gpu",
                    "SPEECH_ENGINE_TYPO": "1",
                }
            )
        message = str(caught.value)
        for name in ("VERSION", "PRECISION", "LOW_MEMORY", "VOICES", "GENERATION", "SEGMENT_TOKENS", "DEVICE", "TYPO"):
            assert f"SPEECH_ENGINE_{name}" in message
        assert "SPEECH_ENGINE_WEIGHTS: not set" in message
        assert "temperature must be a number from 0.1 to 2, not 9" in message
        assert "'use_random' is none of" in message

    def test_a_package_that_does_not_run_the_version(self, tmp_path: Path) -> None:
        with pytest.raises(EngineSettingsError, match=r"index-tts for version 2\.5"):
            read_engine_settings(
                {
                    "SPEECH_ENGINE_WEIGHTS": str(tmp_path),
                    "SPEECH_ENGINE_VERSION": "2",
                    "SPEECH_ENGINE_PACKAGE": "indextts25-inference",
                }
            )


class TestWeights:
    @pytest.mark.parametrize("version", ["2", "2.5"])
    def test_every_file_is_asked_for_by_name(self, tmp_path: Path, version: str) -> None:
        write_weights(tmp_path, version)
        check_weights(tmp_path, version)  # type: ignore[arg-type]
        for name in required_files(version):  # type: ignore[arg-type]
            content = (tmp_path / name).read_bytes()
            (tmp_path / name).unlink()
            with pytest.raises(WeightsError, match=f"{name} is missing"):
                check_weights(tmp_path, version)  # type: ignore[arg-type]
            (tmp_path / name).write_bytes(content)

    def test_empty_files_pointers_and_the_other_version(self, tmp_path: Path) -> None:
        write_weights(tmp_path, "2.5")
        (tmp_path / "gpt.pth").write_bytes(b"")
        (tmp_path / "s2mel.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
        with pytest.raises(WeightsError) as caught:
            check_weights(tmp_path, "2")
        message = str(caught.value)
        assert "config.yaml says version 2.5, and SPEECH_ENGINE_VERSION is 2" in message
        assert "gpt.pth is empty" in message
        assert "s2mel.pth is a Git LFS pointer" in message
        assert "bpe.model is missing" in message

    def test_the_text_emotion_model_is_there_whole_or_not_at_all(self, tmp_path: Path) -> None:
        write_weights(tmp_path, "2.5")
        assert emotion_model(tmp_path) == tmp_path / "qwen0.6bemo4-merge"
        (tmp_path / "qwen0.6bemo4-merge/tokenizer_config.json").unlink()
        assert emotion_model(tmp_path) is None


class TestPrecision:
    @pytest.mark.parametrize(
        ("package", "capability", "low", "chosen"),
        [
            (V2, None, False, "fp32"), (V2, (7, 0), False, "fp32"), (V2, (7, 5), False, "fp16"),
            (V2, (8, 6), False, "fp16"), (V2, None, True, "fp32"), (V2, (7, 0), True, "fp16"),
            (V2, (6, 1), True, "fp32"), (V25, None, False, "fp32"), (V25, (7, 5), False, "fp32"),
            (V25, (8, 6), False, "fp32"), (V25, (8, 6), True, "bf16"), (V25, (8, 9), True, "bf16"),
            (V25, (7, 5), True, "fp32"), (V25, None, True, "fp32"),
        ],
    )  # fmt: skip
    def test_automatic(self, package: object, capability: tuple[int, int] | None, low: bool, chosen: str) -> None:
        assert choose_precision("auto", package, capability, low) == chosen  # type: ignore[arg-type]

    def test_a_t4_is_never_given_bf16_whatever_it_says_of_itself(self) -> None:
        with pytest.raises(PrecisionError, match=r"has 7\.5 and only emulates it: use fp32"):
            choose_precision("bf16", V25, (7, 5), low_memory=False)

    def test_products_in_tf32_are_had_where_there_are_units_for_them(self) -> None:
        check_tf32((8, 0))
        check_tf32((9, 0))
        for capability, says in (((7, 5), "this card has 7.5 and no such units"), (None, "the CPU has no such units")):
            with pytest.raises(PrecisionError, match=says):
                check_tf32(capability)

    @pytest.mark.parametrize("package", PACKAGES, ids=lambda package: f"{package.name}-{package.version}")
    @pytest.mark.parametrize("wanted", ["fp32", "fp16", "bf16"])
    def test_what_is_asked_for_is_what_there_is_or_an_error(self, package: Package, wanted: str) -> None:
        if wanted in package.flags:
            assert choose_precision(wanted, package, (9, 0), low_memory=False) == wanted
            return
        with pytest.raises(PrecisionError, match=wanted):
            choose_precision(wanted, package, (9, 0), low_memory=False)

    def test_half_precision_is_none_of_a_cpus(self) -> None:
        for package, wanted in ((V2, "fp16"), (V25, "bf16")):
            with pytest.raises(PrecisionError, match="needs a CUDA device"):
                choose_precision(wanted, package, None, low_memory=False)


class TestFootprint:
    @pytest.mark.parametrize(
        ("gigabytes", "low"), [(0, False), (4, True), (6, True), (7.8, True), (9.8, True), (11, False), (14.6, False)]
    )
    def test_the_card_decides(self, gigabytes: float, low: bool) -> None:
        found = choose_footprint(None, int(gigabytes * GIGABYTE), None)
        assert found.low is low
        assert found.why == (f"the card has {gigabytes:.1f} GiB, and everything needs 10" if low else "")
        assert found.warm_bytes == (16 if low else 256) << 20

    @pytest.mark.parametrize(("gigabytes", "wanted"), [(80, True), (4, False), (0, True)])
    def test_unless_the_operator_does(self, gigabytes: int, wanted: bool) -> None:
        found = choose_footprint(wanted, gigabytes * GIGABYTE, 77)
        assert (found.low, found.why, found.warm_bytes) == (wanted, "as set" if wanted else "", 77)

    @pytest.mark.parametrize(("text", "wanted"), [("auto", None), ("true", True), ("false", False)])
    def test_what_an_operator_may_set(self, tmp_path: Path, text: str, wanted: bool | None) -> None:
        environment = {"SPEECH_ENGINE_WEIGHTS": str(tmp_path), "SPEECH_ENGINE_LOW_MEMORY": text}
        assert read_engine_settings(environment).low_memory is wanted


class TestGeneration:
    def test_whitelist_and_ranges(self) -> None:
        assert read_generation('{"temperature": 0.5, "num_beams": 1}', V2) == {
            **DEFAULTS, "temperature": 0.5, "num_beams": 1,
        }  # fmt: skip
        assert read_generation('{"diffusion_steps": 15}', V25)["diffusion_steps"] == 15
        for text in (
            '{"diffusion_steps": 15}', '{"use_random": true}', '{"max_mel_tokens": 5}', '{"top_k": 1.5}', "[]", "{",
            '{"temperature": "0.5"}', '{"num_beams": true}', '{"temperature": NaN}', '{"top_p": 0}',
        ):  # fmt: skip
            with pytest.raises(ValueError, match=r"none of|must be|is no"):
                read_generation(text, V2)

    def test_a_call_is_bounded_by_its_text(self) -> None:
        least = {**DEFAULTS, "min_new_tokens": 5}
        assert call_parameters(DEFAULTS, 10, small=False) == {**least, "max_mel_tokens": 460}
        assert call_parameters(DEFAULTS, 120, small=True) == {**least, "num_beams": 1, "max_mel_tokens": 1500}


class TestEmotion:
    @given(st.lists(st.floats(0, 1), min_size=8, max_size=8), st.floats(0, 1))
    def test_no_vector_leaves_the_models_range(self, values: list[float], intensity: float) -> None:
        arguments, warnings = emotion.from_vector(tuple(values), intensity)
        assert arguments.reference is None
        if arguments.vector is not None:
            assert sum(arguments.vector) <= emotion.MOST * intensity + 1e-9
            assert min(arguments.vector) >= 0
        assert len(warnings) <= 1

    @pytest.mark.parametrize(
        ("answer", "description", "scores"),
        [
            ('{"高兴": 0.1, "愤怒": 1.2}', "生气", (0.1, 1.0, 0, 0, 0, 0, 0, 0)),
            ('"高兴": 0.5, "自然": 0.3', "好", (0.5, 0, 0, 0, 0, 0, 0, 0.3)),
            ('"愤怒"', "怒", (0, 1.0, 0, 0, 0, 0, 0, 0)),
            ('{"happy": 0.4}', "ok", (0.4, 0, 0, 0, 0, 0, 0, 0)),
            ('{"悲伤": 0.9}', "低落的", (0, 0, 0, 0, 0, 0.9, 0, 0)),
            ('{"高兴": 0.0}', "平静", (0, 0, 0, 0, 0, 0, 0, 1.0)),
            ('{"高兴": null, "愤怒": 0.2}', "怒", (0, 0.2, 0, 0, 0, 0, 0, 0)),
            ('{"愤怒": -3}', "怒", (0, 0, 0, 0, 0, 0, 0, 1.0)),
            ("I do not know.", "x", None), ("", "x", None), ("[1]", "x", None), ('{"x": 1}', "x", None),
        ],
    )  # fmt: skip
    def test_answers(self, answer: str, description: str, scores: tuple[float, ...] | None) -> None:
        assert scores_of(answer, description) == scores

    @given(st.text(max_size=200))
    def test_any_answer(self, answer: str) -> None:
        scores = scores_of(answer, "")
        assert scores is None or (len(scores) == 8 and all(0 <= score <= 1 for score in scores) and any(scores))


class TestRecycling:
    LIMITS = RecycleLimits(calls=10, seconds=3600, growth_bytes=GIGABYTE)

    @pytest.mark.parametrize(
        ("wear", "word"),
        [(Wear(calls=9, seconds=3599, growth_bytes=GIGABYTE - 1, recoveries=2), None), (Wear(calls=10), "calls"),
         (Wear(seconds=3600), "hours"), (Wear(growth_bytes=GIGABYTE), "grew"), (Wear(recoveries=3), "memory")],
    )  # fmt: skip
    def test_reasons(self, wear: Wear, word: str | None) -> None:
        reason = recycle_reason(wear, self.LIMITS)
        assert reason is None if word is None else word in str(reason)


class TestWarmVoices:
    def test_the_least_recently_used_goes(self) -> None:
        warm = WarmVoices(20)
        for key in ("a", "b"):
            warm.put(key, (bytearray(5), _Sized(10)))
        assert warm.get("a") is not None
        warm.put("c", _Sized(10))
        assert (warm.get("b"), len(warm), warm.used_bytes) == (None, 2, 20)

    def test_what_is_larger_than_the_budget_is_not_kept(self) -> None:
        warm = WarmVoices(20)
        warm.put("a", _Sized(10))
        warm.put("b", [_Sized(15), {"x": _Sized(15)}])
        assert (len(warm), warm.used_bytes) == (0, 0)

    def test_put_again_and_cleared(self) -> None:
        warm = WarmVoices(20)
        warm.put("a", _Sized(10))
        warm.put("a", _Sized(15))
        assert warm.used_bytes == 15
        warm.clear()
        assert (warm.get("a"), warm.used_bytes) == (None, 0)


class _Sized:
    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


class TestReferences:
    def test_a_file_named_by_its_content_is_used_as_it_is(self, tmp_path: Path) -> None:
        one = reference(tmp_path, sample(200))
        assert ReferenceFiles(tmp_path).path_of(one) == one.path

    def test_others_are_copied_and_the_copies_do_not_grow_without_bound(self, tmp_path: Path) -> None:
        files = ReferenceFiles(engine_folder(str(tmp_path / "work")))
        paths = set()
        for number in range(80):
            one = reference(tmp_path, b"RIFF" + bytes([number]), name="same.wav")
            paths.add(files.path_of(one))
            assert Path(files.path_of(one)).read_bytes() == b"RIFF" + bytes([number])
        assert len(paths) == 80
        assert sum(Path(path).exists() for path in paths) == 64

    def test_a_path_from_a_reference_is_never_one_outside(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            ReferenceFiles(tmp_path).path_of(Reference("0" * 64, str(tmp_path / "gone.wav"), 1.0))


class TestOperatorsFiles:
    @pytest.mark.parametrize(
        "terms",
        [["x"], {"": "a"}, {"a": ""}, {"a": "\\g<0>"}, {"a": {"fr": "x"}}, {"a": 3}, {"x" * 201: "a"}, {" ": "a"}],
    )
    def test_a_glossary_that_cannot_be_used(self, tmp_path: Path, terms: object) -> None:
        path = tmp_path / "glossary.json"
        path.write_text(json.dumps(terms))
        with pytest.raises(GlossaryError, match=r"glossary\.json"):
            read_glossary(path)

    def test_a_glossary(self, tmp_path: Path) -> None:
        path = tmp_path / "glossary.json"
        terms = {"M.2": {"zh": "M 二", "en": "M dot two"}, "NVMe": "N V M E"}
        path.write_text(json.dumps(terms))
        assert read_glossary(path) == terms

    def test_voices_that_are_none(self, tmp_path: Path) -> None:
        folder, kept = tmp_path / "voices", tmp_path / "kept"
        folder.mkdir()
        kept.mkdir()
        (folder / "Bad Name.wav").write_bytes(sample(200))
        with pytest.raises(VoiceFolderError, match="Bad Name"):
            read_voices(folder, kept)
        (folder / "Bad Name.wav").rename(folder / "text.wav")
        (folder / "text.wav").write_bytes(b"hello")
        with pytest.raises(VoiceFolderError, match=r"text\.wav"):
            read_voices(folder, kept)


class TestSmallThings:
    def test_seeds(self) -> None:
        seeds = {segment_seed(7, segment, part) for segment in range(50) for part in range(10)}
        assert len(seeds) == 500
        assert segment_seed(7, 0, 0) == 7
        assert all(0 <= seed < 2**32 for seed in seeds)

    @pytest.mark.parametrize(
        ("error", "expected"),
        [(MemoryError(), True), (RuntimeError("CUDA out of memory. Tried"), True), (ValueError("out of memory"), False),
         (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling"), True), (RuntimeError("shape"), False)],
    )  # fmt: skip
    def test_running_out_of_memory_is_known_by_every_name(self, error: Exception, expected: bool) -> None:
        assert is_out_of_memory(error) is expected
