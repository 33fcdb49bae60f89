"""An engine that sets the length itself: it is asked for most of the way, and the rest is stretched."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from speech_server.estimates.prior import prior_of
from speech_server.timing import Timing, final_length, native_factor
from tests.inference.server.elastic_engine import FACTORS, SECONDS_PER_CHARACTER
from tests.inference.server.running_server import RunningServer
from tests.inference.server.test_generate import error_of, samples_of
from tests.inference.server.test_recycling import ELASTIC

TEXT = "forty characters of text, a plain one..."
NATURAL = len(TEXT) * SECONDS_PER_CHARACTER


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("elastic"), engine=ELASTIC)
    yield running
    running.kill()


class TestFactor:
    @pytest.mark.parametrize("timing", [Timing(), Timing(speed=1.0), Timing(target_seconds=4.0)])
    def test_its_own_pace_is_not_asked_for(self, timing: Timing) -> None:
        assert native_factor(timing, 4.0, 1.25, (0.5, 2.0)) is None

    @pytest.mark.parametrize(
        ("timing", "factor"),
        [
            (Timing(speed=1.25), 0.8),
            (Timing(speed=0.8), 1.25),
            (Timing(speed=4.0), 0.5),
            (Timing(speed=0.25), 2.0),
            # within what the estimate may be wrong by, and beyond it
            (Timing(target_seconds=4.9), None),
            (Timing(target_seconds=3.3), None),
            (Timing(target_seconds=7.5), 1.5),
            (Timing(target_seconds=2.56), 0.8),
            (Timing(target_seconds=3600), 2.0),
        ],
    )
    def test_it_is_the_inverse_of_the_speed_within_what_the_engine_does(
        self, timing: Timing, factor: float | None
    ) -> None:
        assert native_factor(timing, 4.0, 1.25, (0.5, 2.0)) == (None if factor is None else pytest.approx(factor))

    @pytest.mark.parametrize("speed", [0.75, 0.77, 0.9, 1.1, 1.13, 1.25])
    def test_a_factor_that_is_taken_whole_leaves_nothing_to_stretch(self, speed: float) -> None:
        factor = native_factor(Timing(speed=speed), 4.0, 1.25, (0.5, 2.0))
        assert factor is not None
        for spoken in range(1, 3000, 7):
            assert final_length(spoken / factor, 22_050, Timing(speed=speed)) == spoken


class TestClip:
    @pytest.mark.parametrize("ratio", [0.75, 1.1, 1.25])
    def test_a_ratio_is_the_engines_to_make(self, server: RunningServer, ratio: float) -> None:
        text = f"{TEXT[:-4]}{ratio:4.2f}"
        answer = server.generate(text, duration_ratio=ratio)
        assert server.called(text)[0]["factor"] == pytest.approx(1 / ratio)
        samples, rate = samples_of(answer)
        assert samples.size == pytest.approx(NATURAL / ratio * rate, abs=1)
        assert float(answer.headers["x-audio-seconds"]) == pytest.approx(NATURAL / ratio, abs=0.001)
        assert float(answer.headers["x-natural-seconds"]) == pytest.approx(NATURAL, abs=0.001)
        assert "x-speech-warnings" not in answer.headers

    def test_what_the_engine_does_not_do_is_stretched(self, server: RunningServer) -> None:
        body = {"model": "tts-1", "voice": "default", "input": TEXT, "speed": 2.0, "response_format": "wav"}
        with server.client() as client:
            answer = client.post("/v1/audio/speech", json=body)
        samples, rate = samples_of(answer)
        assert server.called(TEXT)[-1]["factor"] == FACTORS[0]
        assert samples.size == pytest.approx(NATURAL / 2 * rate, abs=1)

    @pytest.mark.parametrize(
        ("word", "seconds"), [("plainly", 1.5), ("plainly", 2.6), ("plainly", 4.9), ("hurried", 0.7), ("hurried", 2.5)]
    )
    def test_a_target_is_met_to_the_sample_whatever_was_estimated(
        self, server: RunningServer, word: str, seconds: float
    ) -> None:
        natural = 0.5 * NATURAL if word == "hurried" else NATURAL
        answer = server.generate(f"{word} {TEXT[8:]}", target_seconds=seconds, seed=1)
        samples, rate = samples_of(answer)
        assert samples.size == round(seconds * rate)
        assert float(answer.headers["x-natural-seconds"]) == pytest.approx(natural, abs=0.001)

    def test_a_target_out_of_reach_tells_the_natural_length(self, server: RunningServer) -> None:
        error = error_of(server.generate(f"hurried {TEXT[8:]}", target_seconds=9))
        assert (error["code"], error["param"]) == ("target_out_of_reach", "target_seconds")
        assert f"this text is {NATURAL / 2:.2f} s long" in error["message"]


class TestLearning:
    def test_a_voice_that_is_known_is_asked_for_more_of_the_way_and_a_seed_for_the_same_as_ever(
        self, server: RunningServer
    ) -> None:
        text = f"hurried {TEXT[8:]}"
        target = prior_of(text).seconds  # which its characters say, and which is about twice what it takes
        clips = server.metric("speech_estimate_error_ratio_count")
        for number in range(20):
            assert server.generate(f"hurried {number:02} {TEXT[11:]}").status_code == 200
        assert server.metric("speech_estimate_error_ratio_count") == clips + 20
        assert server.metric("speech_estimate_bias_ratio") > 0
        server.generate(text, target_seconds=target)
        assert server.called(text)[-1]["factor"] == pytest.approx(FACTORS[1], abs=0.15)
        server.generate(text, target_seconds=target, seed=5)
        assert server.called(text)[-1]["factor"] is None


class TestLanguage:
    @pytest.mark.parametrize("language", ["ko", "fr-FR", "zhx"])
    def test_one_that_the_engine_does_not_speak_is_refused_before_it(
        self, server: RunningServer, language: str
    ) -> None:
        answer = server.generate(f"not {language}", language=language)
        error = error_of(answer)
        assert (answer.status_code, error["code"], error["param"]) == (400, "language_unsupported", "language")
        assert error["message"] == f"language: elastic 1 speaks zh, en, not '{language}'"
        assert not server.called(f"not {language}")

    @pytest.mark.parametrize("language", ["zh", "ZH-hans-CN", "cmn", "en-US"])
    def test_one_of_any_script_or_region_is_spoken(self, server: RunningServer, language: str) -> None:
        assert server.generate(f"in {language}", language=language).status_code == 200
