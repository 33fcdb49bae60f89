"""What a text's characters say of its length: held against what espeak makes of the same text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from speech_server.engines.base import Utterance
from speech_server.engines.espeak import EspeakEngine
from speech_server.estimates.prior import prior_of

TEXTS = (
    ("今天天气很好,我们一起去公园散步吧。", "zh"),
    ("人工智能正在改变我们的生活方式,从医疗到教育,几乎没有一个领域不受它的影响。", "zh"),
    ("会议在2026年11月23日下午3点30分开始。", "zh"),
    ("他的电话是13800138000。", "zh"),
    ("你为什么yao4 zhe4yang4做?", "zh"),
    ("I have not finished this book, and tomorrow it must go back to the library.", "en"),
    ("The meeting starts at 3:30 pm on November 23, 2026.", "en"),
    ("Few fields remain untouched by it. Many experts expect further change over the next ten years.", "en"),
    ("きょうはとてもいいてんきですね。いっしょにこうえんをさんぽしましょう。", "ja"),
    ("ありがとうございます。", "ja"),
    ("오늘은 날씨가 정말 좋네요. 같이 공원에서 산책합시다.", "ko"),
    ("안녕하세요, welcome to our show! 오늘의 손님은 John Smith 입니다.", "ko"),
    ("こんにちは、きょうはPythonをべんきょうします。", "ja"),
    ("我今天用了Photoshop和Excel来完成report。", "zh"),
    ("今天的会议改到下午,因为the flight from London has been delayed by three hours。", "en"),
)


@pytest.fixture(scope="module")
def spoken_seconds() -> Iterator[Callable[[str], float]]:
    engine = EspeakEngine()
    engine.load()

    def speak(text: str) -> float:
        said = Utterance(text, None, None, None, None, None, None, small_footprint=False)
        speech = engine.speak(said, lambda: False)
        assert not speech.warnings
        return speech.samples.size / speech.sample_rate

    yield speak


class TestAgainstSpeech:
    def test_every_text_within_a_third_and_all_within_a_tenth(self, spoken_seconds: Callable[[str], float]) -> None:
        ratios = [prior_of(text).seconds / spoken_seconds(text) for text, _ in TEXTS]
        assert min(ratios) > 0.7
        assert max(ratios) < 1.33
        assert sum(ratios) / len(ratios) == pytest.approx(1.0, abs=0.1)


class TestLanguage:
    @pytest.mark.parametrize(("text", "language"), TEXTS)
    def test_it_is_the_one_that_most_is_said_in(self, text: str, language: str) -> None:
        assert prior_of(text).language == language

    @pytest.mark.parametrize(
        ("text", "language"),
        [("日本語の文章", "ja"), ("東京都", "zh"), ("مرحبا بك", "ar"), ("Привет", "other"), ("42", "en"), ("", "en")],
    )
    def test_scripts(self, text: str, language: str) -> None:
        assert prior_of(text).language == language

    @pytest.mark.parametrize(("tag", "language"), [("ja", "ja"), ("ZH-Hans-CN", "zh"), ("cmn", "zh"), ("es-MX", "es")])
    def test_what_the_caller_says_decides(self, tag: str, language: str) -> None:
        assert prior_of("東京都 centro", tag).language == language


class TestCharacters:
    @pytest.mark.parametrize("text", ["", "a", "ʰ", "\u0301", "\ud800", "😀", "\x00"])
    def test_nothing_is_nothing_and_whatever_a_text_holds_can_be_reckoned(self, text: str) -> None:
        assert 0.3 <= prior_of(text).seconds < 0.5

    @pytest.mark.parametrize(
        ("short", "long"),
        [
            ("买了3本", "买了345本"),
            ("版本mp3", "版本mp345"),
            ("one two", "one two three"),
            ("好。好", "好。好。好"),
            ("ab，cd", "ab，cd，ef"),
            ("it is 5", "it is 5%"),
        ],
    )
    def test_more_is_longer(self, short: str, long: str) -> None:
        assert prior_of(long).seconds > prior_of(short).seconds

    def test_a_tone_is_no_number(self) -> None:
        assert prior_of("yao4 zhe4yang4").seconds == pytest.approx(prior_of("yao zheyang").seconds)
        assert prior_of("the R2 D2").seconds == pytest.approx(prior_of("the R D").seconds + 0.6)

    def test_nobody_waits_after_the_last_sentence(self) -> None:
        assert prior_of("你好，世界。").seconds == pytest.approx(prior_of("你好，世界").seconds)

    def test_both_halves_of_a_rare_character_are_one(self) -> None:
        assert prior_of("𠮷" * 10).seconds == pytest.approx(prior_of("吉" * 10).seconds)
