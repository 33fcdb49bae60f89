"""The engine as the server uses it, on the real library."""

from __future__ import annotations

import dataclasses
import gc
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_server.engines import espeak, make_engine
from speech_server.engines.base import (
    Cancelled,
    Capabilities,
    Emotion,
    Engine,
    Reference,
    SegmentingEngine,
    Speech,
    Utterance,
    UtteranceError,
)
from tests.inference.server.running_server import RunningServer

RATE = 22_050
PLAIN = Utterance(
    text="",
    language=None,
    voice=None,
    reference=None,
    emotion=None,
    duration_factor=None,
    seed=None,
    small_footprint=False,
)
MIXED = "你好，我是虚拟主播。Today 我们 use GPU 训练，2026年有35个。你为什么yao4 zhe4yang4做?"


@pytest.fixture(scope="module")
def engine() -> Engine:
    loaded = make_engine("espeak")
    loaded.load()
    return loaded


def speak(engine: Engine, text: str, **fields: object) -> Speech:
    return engine.speak(dataclasses.replace(PLAIN, text=text, **fields), lambda: False)


def pitches(samples: np.ndarray) -> list[float]:
    """Of each voiced window of 50 ms, 10 ms apart, in Hz."""
    found: list[float] = []
    for start in range(0, samples.size - 1102, 220):
        window = samples[start : start + 1102]
        correlation = np.correlate(window, window, "full")[1101:]
        lag = RATE // 350 + int(np.argmax(correlation[RATE // 350 : RATE // 60]))
        if np.sqrt(np.mean(window**2)) > 0.02 and correlation[lag] > 0.5 * correlation[0]:
            found.append(RATE / lag)
    return found


class TestLoad:
    def test_what_it_can_do_is_told(self) -> None:
        capabilities = make_engine("espeak").load()
        assert capabilities == Capabilities(
            name="espeak",
            version=capabilities.version,
            sample_rate=RATE,
            languages=("zh", "en", "ko"),
            voices=("default", "female"),
            clone=False,
            emotion=False,
            native_duration=False,
        )
        assert capabilities.version[0].isdigit()


class TestSound:
    @pytest.mark.parametrize(
        ("text", "least", "most"),
        [
            ("你好", 0.3, 1), ("Hello there, how are you?", 1, 3), (MIXED, 7, 14), ("안녕하세요", 0.5, 2),
            ("こんにちは", 0.5, 2), ("yao4", 0.1, 0.6), ("兄弟", 0.4, 1.2), ("去wanr2吧", 0.5, 1.5),
        ],
    )  # fmt: skip
    def test_texts(self, engine: Engine, text: str, least: float, most: float) -> None:
        speech = speak(engine, text)
        assert speech.sample_rate == RATE
        assert speech.samples.dtype == np.float32
        assert speech.samples.ndim == 1
        assert least < speech.samples.size / RATE < most
        assert 0.1 < np.abs(speech.samples).max() <= 1
        assert speech.warnings == ()

    def test_no_silence_at_the_ends_and_no_click(self, engine: Engine) -> None:
        samples = speak(engine, MIXED).samples
        loud = np.flatnonzero(np.abs(samples) > 0.01)
        assert loud[0] < 0.05 * RATE
        assert samples.size - loud[-1] < 0.1 * RATE
        assert samples[0] == samples[-1] == 0
        # the pauses between clauses (a plosive's closure is shorter) are entered and left softly
        sounding = np.flatnonzero(samples)
        gaps = np.flatnonzero(np.diff(sounding) > 0.15 * RATE)
        assert gaps.size == 4
        for last, first in zip(sounding[gaps], sounding[gaps + 1], strict=True):
            assert np.abs(samples[last - 1 : last + 1]).max() < 0.03
            assert np.abs(samples[first : first + 2]).max() < 0.03

    def test_pauses_are_equal_in_every_language(self, engine: Engine) -> None:
        def longest_silence(text: str) -> float:
            samples = np.abs(speak(engine, text).samples) > 0.001
            edges = np.flatnonzero(np.diff(samples.astype(int)))
            return float(np.max(np.diff(edges)[samples[edges[:-1] + 1] == 0])) / RATE

        commas = [longest_silence(text) for text in ("妈妈，妈妈", "mama, mama", "엄마, 엄마", "妈妈, mama")]
        assert max(commas) - min(commas) < 0.03

    def test_voices_differ_in_pitch(self, engine: Engine) -> None:
        for text in ("我们今天一起去公园散步", "We are walking in the park today"):
            low, high = (
                np.median(pitches(speak(engine, text, voice=voice).samples)) for voice in ("default", "female")
            )
            assert low < 130 < 160 < high

    def test_loudness_is_alike_in_both_languages_and_voices(self, engine: Engine) -> None:
        levels = []
        for text in ("我们今天一起去公园散步", "We are walking in the park today"):
            for voice in ("default", "female"):
                samples = speak(engine, text, voice=voice).samples
                levels.append(10 * np.log10(np.mean(samples[np.abs(samples) > 0.01] ** 2)))
        assert max(levels) - min(levels) < 4


class TestPinyin:
    @pytest.mark.parametrize(
        ("corrected", "plain"),
        [("yao4", "要"), ("zhe4yang4", "这样"), ("yin2hang2", "银行"), ("lv4", "绿"), ("xiong1di4", "兄弟")],
    )
    def test_pinyin_sounds_as_the_hanzi_do(self, engine: Engine, corrected: str, plain: str) -> None:
        assert np.array_equal(speak(engine, corrected).samples, speak(engine, plain).samples)

    def test_a_correction_changes_the_sound(self, engine: Engine) -> None:
        assert not np.array_equal(speak(engine, "chang2大了").samples, speak(engine, "长大了").samples)
        assert np.array_equal(speak(engine, "zhang3 da4 le5").samples, speak(engine, "zhang3 大 了").samples)

    def test_tones_move_the_pitch_as_they_should(self, engine: Engine) -> None:
        def ends(text: str) -> tuple[float, float]:
            found = pitches(speak(engine, text, voice="female").samples)
            return found[0], found[-1]

        level, rising, falling = ends("ma1"), ends("ma2"), ends("ma4")
        assert rising[0] < level[0] - 15
        assert rising[1] > rising[0] + 25
        assert falling[1] < falling[0] - 20
        assert level[1] > level[0]


class TestDeterminism:
    def test_the_same_utterance_is_the_same_samples_in_any_order_and_after_a_cancelled_one(
        self, engine: Engine
    ) -> None:
        texts = [MIXED, "Hello there.", "再见"]
        first = [speak(engine, text, voice="female").samples for text in texts]
        with pytest.raises(Cancelled):
            engine.speak(dataclasses.replace(PLAIN, text=MIXED), lambda: True)
        again = [speak(engine, text, voice="female").samples for text in reversed(texts)]
        for left, right in zip(first, reversed(again), strict=True):
            assert np.array_equal(left, right)

    def test_the_time_of_day_changes_nothing(self, engine: Engine) -> None:
        # The library's own seed is the second in which it is loaded, so that only another second tells.
        second = int(time.time())
        first = speak(engine, MIXED, voice="female").samples
        while int(time.time()) == second:
            time.sleep(0.01)
        assert np.array_equal(first, speak(engine, MIXED, voice="female").samples)

    def test_a_seed_and_a_smaller_footprint_change_nothing(self, engine: Engine) -> None:
        first = speak(engine, MIXED)
        second = speak(engine, MIXED, seed=7, small_footprint=True)
        assert np.array_equal(first.samples, second.samples)
        assert second.warnings == ()


class TestCancel:
    @pytest.mark.parametrize("text", ["今天天气不错我们一起去公园散步吧" * 256, "word " * 820, "x" * 4096])
    def test_the_longest_text_is_asked_about_all_the_while(self, engine: Engine, text: str) -> None:
        # In shares of the time that this thread worked, whatever the machine's speed. To collect the garbage of all
        # that other tests left in this process is no part of it.
        gc.collect()
        gc.disable()
        asked: list[float] = [time.thread_time()]

        def note() -> bool:
            asked.append(time.thread_time())
            return False

        try:
            speech = engine.speak(dataclasses.replace(PLAIN, text=text), note)
        finally:
            gc.enable()
        assert speech.samples.size > 100 * RATE
        assert max(np.diff(asked)) < (asked[-1] - asked[0]) / 20

    def test_cancelled_while_it_is_read_no_sound_is_made(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(espeak, "open_session", lambda: pytest.fail("the library was asked for sound"))
        answers = iter([False, False, True])
        with pytest.raises(Cancelled):
            engine.speak(
                dataclasses.replace(PLAIN, text="今天天气不错我们一起去公园散步吧" * 10), lambda: next(answers)
            )

    def test_cancelled_at_any_point(self, engine: Engine) -> None:
        for after in (0, 1, 2, 10, 50):
            asked = 0

            def soon(limit: int = after) -> bool:
                nonlocal asked
                asked += 1
                return asked > limit

            with pytest.raises(Cancelled):
                engine.speak(dataclasses.replace(PLAIN, text=MIXED * 20), soon)


class TestHonesty:
    def test_what_it_cannot_do_is_warned_of(self, engine: Engine) -> None:
        speech = speak(
            engine,
            "你好 привет 東京へ",
            reference=Reference("00", "/nowhere/00.wav", 3.0),
            emotion=Emotion("text_desc", "愤怒", None, None, 0.8),
            duration_factor=1.2,
        )
        codes = [warning.split(":")[0] for warning in speech.warnings]
        assert codes == [
            "cloning_unsupported", "emotion_unsupported", "duration_unsupported", "language_unsupported",
            "language_unsupported",
        ]  # fmt: skip
        assert all(warning.isascii() and "\n" not in warning for warning in speech.warnings)

    @pytest.mark.parametrize(("language", "warned"), [("zh", False), ("en-US", False), ("ko", False), ("fr", True)])
    def test_a_language_without_a_voice_is_warned_of(self, engine: Engine, language: str, warned: bool) -> None:
        warnings = speak(engine, "bonjour", language=language).warnings
        assert [warning.split(":")[0] for warning in warnings] == ["language_unsupported"] * warned

    @pytest.mark.parametrize(
        ("fields", "code", "param"),
        [
            ({"text": "привет"}, "language_unsupported", None),
            ({"text": "東京大阪", "language": "ja"}, "language_unsupported", None),
            ({"text": "..."}, "no_speech", None),
            ({"text": ""}, "no_speech", None),
            ({"text": "你好", "voice": "alloy"}, "voice_not_found", "voice"),
        ],
    )
    def test_what_the_caller_can_mend(
        self, engine: Engine, fields: dict[str, str], code: str, param: str | None
    ) -> None:
        with pytest.raises(UtteranceError) as caught:
            engine.speak(dataclasses.replace(PLAIN, **fields), lambda: False)
        assert (caught.value.code, caught.value.param) == (code, param)

    def test_a_text_that_takes_more_than_an_hour_is_refused(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(espeak, "_LONGEST_SECONDS", 20)
        assert speak(engine, "今天天气不错，" * 10).samples.size > 10 * RATE
        with pytest.raises(UtteranceError) as caught:
            speak(engine, "今天天气不错，" * 20)
        assert caught.value.code == "speech_too_long"

    @given(
        st.text(alphabet=st.one_of(st.characters(), st.sampled_from("你好aB3。,. \nかя한<&[]\x00\x01")), max_size=40)
    )
    @settings(max_examples=150, deadline=None)
    def test_any_text_is_spoken_or_refused(self, engine: Engine, text: str) -> None:
        try:
            speech = speak(engine, text)
        except UtteranceError as error:
            assert error.code in ("no_speech", "language_unsupported")
            return
        assert speech.samples.size > 0
        assert np.isfinite(speech.samples).all()


class TestSegments:
    TEXT = "First one. 第二句，有一个停顿。Third! 四。"

    def test_put_together_they_are_the_clip(self, engine: Engine) -> None:
        assert isinstance(engine, SegmentingEngine)
        said = dataclasses.replace(PLAIN, text=self.TEXT)
        segments = list(engine.segments(said, lambda: False))
        assert [segment.last for segment in segments] == [False, False, False, True]
        assert np.array_equal(
            np.concatenate([segment.samples for segment in segments]), speak(engine, self.TEXT).samples
        )
        # the pause is in front of what comes after it: who has the beginning need not wait in silence
        assert not np.any(segments[1].samples[: int(0.3 * RATE)])
        assert np.any(segments[0].samples[-int(0.05 * RATE) :])

    @pytest.mark.parametrize("done", [1, 2, 3])
    def test_what_is_there_already_is_left_out(self, engine: Engine, done: int) -> None:
        assert isinstance(engine, SegmentingEngine)
        whole = list(engine.segments(dataclasses.replace(PLAIN, text=self.TEXT), lambda: False))
        rest = list(engine.segments(dataclasses.replace(PLAIN, text=self.TEXT, segments_done=done), lambda: False))
        assert len(rest) == 4 - done
        for expected, found in zip(whole[done:], rest, strict=True):
            assert np.array_equal(expected.samples, found.samples)

    def test_warnings_come_with_the_first(self, engine: Engine) -> None:
        assert isinstance(engine, SegmentingEngine)
        said = dataclasses.replace(PLAIN, text="One. Two.", duration_factor=1.1)
        first, second = engine.segments(said, lambda: False)
        assert first.warnings == ("duration_unsupported: espeak speaks at its own pace",)
        assert second.warnings == ()

    def test_a_sentence_without_sound(self, engine: Engine) -> None:
        with pytest.raises(UtteranceError):
            speak(engine, "Я. Ю.")


class TestServer:
    def test_a_sentence_is_heard_before_the_last(self, tmp_path: Path) -> None:
        """A real server with the real library: the same clip, in pieces."""
        text = " ".join(f"This is sentence number {number} of a long text." for number in range(20))
        body = {"input": text, "model": "tts-1", "voice": "default", "response_format": "wav"}
        server = RunningServer(tmp_path, engine="espeak")
        try:
            whole = server.generate(text).content
            with server.client() as client, client.stream("POST", "/v1/audio/speech", json=body) as answer:
                pieces = list(answer.iter_raw())
            assert len(pieces) > 1
            assert "content-length" not in answer.headers
            assert b"".join(pieces)[44:] == whole[44:]
        finally:
            server.kill()
