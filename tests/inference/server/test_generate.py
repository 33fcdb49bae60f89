"""`POST /generate` on a running server: what is answered, and what is refused and how."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from tests.inference.server.running_server import OTHER_KEY, RunningServer
from tests.inference.server.strict_engine import SAMPLE_RATE, SECONDS_PER_CHARACTER, tone_of

EMOTION = {"type": "text_desc", "description": "愤怒地质问", "intensity": 0.8}


def sample(hertz: float = 300.0, seconds: float = 2.0, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate), rate, format="WAV")
    return file.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def samples_of(answer: httpx.Response) -> tuple[np.ndarray, int]:
    assert answer.status_code == 200, answer.text
    samples, rate = soundfile.read(io.BytesIO(answer.content), dtype="float32")
    return samples, rate


def loudest_hertz(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size), 1 << 17))
    return float(np.argmax(spectrum)) * rate / (1 << 17)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
    return body["error"]


class TestAnswer:
    def test_a_clip_and_its_headers(self, shared_server: RunningServer) -> None:
        answer = shared_server.generate("A plain sentence.")
        samples, rate = samples_of(answer)
        assert rate == SAMPLE_RATE
        assert samples.ndim == 1
        assert samples.size == round(17 * SECONDS_PER_CHARACTER * SAMPLE_RATE)
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["x-audio-seconds"] == answer.headers["x-natural-seconds"] == "0.850"
        assert float(answer.headers["x-synthesis-seconds"]) < 5
        assert answer.headers["x-engine"] == "strict/1"
        assert "x-speech-warnings" not in answer.headers
        assert "server" not in answer.headers

    def test_the_whole_request_of_the_documentation(self, shared_server: RunningServer) -> None:
        answer = shared_server.generate(
            "你为什么要这样做?",
            text_with_pinyin="你为什么yào zhèyàng做?",
            reference_audio=base64_of(sample()),
            emotion_control=EMOTION,
            duration_ratio=1.1,
            mode="controlled",
        )
        assert answer.status_code == 200
        assert answer.headers["x-speech-warnings"].startswith("emotion_unsupported:")
        assert shared_server.called("你为什么yao4 zhe4yang4做?")
        natural, final = (float(answer.headers[f"x-{name}-seconds"]) for name in ("natural", "audio"))
        assert final == pytest.approx(natural / 1.1, abs=0.001)

    @pytest.mark.parametrize("ratio", [0.75, 1.0, 1.25])
    def test_a_ratio_changes_the_length_and_not_the_pitch(self, shared_server: RunningServer, ratio: float) -> None:
        answer = shared_server.generate("A sentence of some length, so that a pitch is heard.", duration_ratio=ratio)
        samples, rate = samples_of(answer)
        assert samples.size == pytest.approx(52 * SECONDS_PER_CHARACTER * SAMPLE_RATE / ratio, abs=1)
        assert loudest_hertz(samples, rate) == pytest.approx(tone_of(None), rel=0.02)

    def test_a_target_is_met_to_the_sample(self, shared_server: RunningServer) -> None:
        samples, rate = samples_of(shared_server.generate("Thirty characters of plain text", target_seconds=2.5))
        assert samples.size == round(2.5 * rate)

    def test_a_target_out_of_reach_tells_the_natural_length(self, shared_server: RunningServer) -> None:
        answer = shared_server.generate("Twenty characters ok", target_seconds=9)
        assert answer.status_code == 400
        error = error_of(answer)
        assert (error["code"], error["param"]) == ("target_out_of_reach", "target_seconds")
        assert "1.00 s" in error["message"]
        assert "0.50 to 2.00" in error["message"]

    @pytest.mark.parametrize("voice", ["default", "low", "high"])
    def test_a_voice_is_the_one_asked_for(self, shared_server: RunningServer, voice: str) -> None:
        samples, rate = samples_of(shared_server.generate("Which voice is it that says this?", voice=voice))
        assert loudest_hertz(samples, rate) == pytest.approx(tone_of(voice), rel=0.02)

    def test_a_reference_is_the_voice_in_each_form_of_base64(self, shared_server: RunningServer) -> None:
        encoded = base64_of(sample(333))
        lines = "\r\n".join(encoded[start : start + 76] for start in range(0, len(encoded), 76))
        heard = set()
        for number, form in enumerate([encoded, lines, f"data:audio/wav;base64,{encoded}"]):
            text = f"A cloned voice says sentence {number}."
            samples, rate = samples_of(shared_server.generate(text, reference_audio=form))
            heard.add(round(loudest_hertz(samples, rate)))
        assert len(heard) == 1
        other, rate = samples_of(shared_server.generate("Another.", reference_audio=base64_of(sample(444))))
        assert round(loudest_hertz(other, rate)) not in heard

    @pytest.mark.parametrize(
        ("form", "media_type", "start"),
        [
            ("wav", "audio/wav", b"RIFF"),
            ("flac", "audio/flac", b"fLaC"),
            ("mp3", "audio/mpeg", b"\xff"),
            ("opus", "audio/ogg", b"OggS"),
            ("aac", "audio/aac", b"\xff"),
            ("pcm", "audio/pcm", b""),
        ],
    )
    def test_a_format_is_what_it_says(
        self, shared_server: RunningServer, form: str, media_type: str, start: bytes
    ) -> None:
        answer = shared_server.generate("In every format.", format=form)
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert answer.content.startswith(start)

    def test_a_warning_cannot_split_the_head(self, shared_server: RunningServer) -> None:
        answer = shared_server.generate("With a feeling.", emotion_control=EMOTION)
        assert "x-evil" not in answer.headers
        assert answer.headers["x-speech-warnings"].isascii()
        assert "\\u6ca1" in answer.headers["x-speech-warnings"]

    @pytest.mark.parametrize(
        "emotion",
        [
            {"type": "none"},
            {"type": "vector", "vector": {"angry": 0.7, "calm": 0.1}},
            {"type": "vector", "vector": {"happy": 1}, "intensity": 0},
        ],
    )
    def test_other_forms_of_emotion(self, shared_server: RunningServer, emotion: dict[str, Any]) -> None:
        answer = shared_server.generate(f"Emotion {len(json.dumps(emotion))}.", emotion_control=emotion)
        assert answer.status_code == 200
        assert ("x-speech-warnings" in answer.headers) == (emotion["type"] != "none")

    def test_an_emotion_by_sound_is_decoded(self, shared_server: RunningServer) -> None:
        emotion = {"type": "audio", "audio": base64_of(sample(500))}
        assert shared_server.generate("Heard emotion.", emotion_control=emotion).status_code == 200
        answer = shared_server.generate("Heard emotion.", emotion_control={**emotion, "audio": base64_of(b"no sound")})
        assert (answer.status_code, error_of(answer)["param"]) == (400, "emotion_control.audio")


class TestRepetition:
    def test_the_same_request_is_spoken_once(self, shared_server: RunningServer) -> None:
        first, second = (shared_server.generate("Say it once.", seed=7) for _ in range(2))
        assert first.content == second.content
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"
        assert first.headers["x-request-id"] != second.headers["x-request-id"]
        assert len(shared_server.called("Say it once.")) == 1

    def test_a_seed_a_format_or_another_client_is_another_request(self, shared_server: RunningServer) -> None:
        for key, fields in [("first", {}), ("first", {"seed": 1}), ("first", {"format": "flac"}), ("other", {})]:
            answer = (
                shared_server.generate("Say it four times.", **fields)
                if key == "first"
                else shared_server.generate("Say it four times.", key=OTHER_KEY)
            )
            assert answer.status_code == 200
        assert len(shared_server.called("Say it four times.")) == 4

    def test_an_idempotency_key_belongs_to_one_request(self, shared_server: RunningServer) -> None:
        headers = {"Idempotency-Key": "order-1"}
        with shared_server.client() as client:
            answers = [
                client.post("/generate", json={"text": text}, headers=headers)
                for text in ("Ordered.", "Ordered.", "Something else.")
            ]
        assert [answer.status_code for answer in answers] == [200, 200, 422]
        error = error_of(answers[2])
        assert (error["code"], error["param"]) == ("idempotency_key_reused", "Idempotency-Key")

    @pytest.mark.parametrize("key", ["", "with space", "x" * 300])
    def test_an_idempotency_key_that_is_none(self, shared_server: RunningServer, key: str) -> None:
        with shared_server.client() as client:
            answer = client.post("/generate", json={"text": "x"}, headers={"Idempotency-Key": key})
        assert (answer.status_code, error_of(answer)["param"]) == (400, "Idempotency-Key")


REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({}, "text", "missing_parameter"),
    ({"text": None}, "text", "missing_parameter"),
    ({"text": ""}, "text", "no_speech"),
    ({"text": " \n\t "}, "text", "no_speech"),
    ({"text": "?!。…"}, "text", "no_speech"),
    ({"text": "\u0000\u0007\u202e\u200b"}, "text", "no_speech"),
    ({"text": "x" * 4097}, "text", "text_too_long"),
    ({"text": "x" * 1_000_000}, "text", "text_too_long"),
    ({"text": 5}, "text", "invalid_value"),
    ({"text": "a", "text_with_pinyin": ""}, "text_with_pinyin", "no_speech"),
    ({"text_with_pinyin": "你zhèx好"}, "text_with_pinyin", "invalid_pinyin"),
    ({"text": "a", "speed": 1.1}, "speed", "unknown_parameter"),
    ({"text": "a", "\r\nX-Evil: 1": 1}, "'\\r\\nX-Evil: 1'", "unknown_parameter"),
    ({"text": "a", "duration_ratio": 0.74}, "duration_ratio", "invalid_value"),
    ({"text": "a", "duration_ratio": 1.26}, "duration_ratio", "invalid_value"),
    ({"text": "a", "duration_ratio": "1.1"}, "duration_ratio", "invalid_value"),
    ({"text": "a", "duration_ratio": True}, "duration_ratio", "invalid_value"),
    ({"text": "a", "duration_ratio": 1, "target_seconds": 1}, "target_seconds", "conflicting_parameters"),
    ({"text": "a", "target_seconds": 0}, "target_seconds", "invalid_value"),
    ({"text": "a", "target_seconds": 1e300}, "target_seconds", "invalid_value"),
    ({"text": "a", "mode": "free", "duration_ratio": 1.1}, "duration_ratio", "conflicting_parameters"),
    ({"text": "a", "mode": "free", "target_seconds": 1}, "target_seconds", "conflicting_parameters"),
    ({"text": "a", "mode": "fast"}, "mode", "invalid_value"),
    ({"text": "a", "seed": -1}, "seed", "invalid_value"),
    ({"text": "a", "seed": 2**32}, "seed", "invalid_value"),
    ({"text": "a", "seed": 1.0}, "seed", "invalid_value"),
    ({"text": "a", "format": "ogg"}, "format", "invalid_value"),
    ({"text": "a", "language": "../etc"}, "language", "invalid_value"),
    ({"text": "a", "voice": "nobody"}, "voice", "voice_not_found"),
    ({"text": "a", "voice": "low", "reference_audio": "AAAA"}, "voice", "conflicting_parameters"),
    ({"text": "a", "emotion_control": "angry"}, "emotion_control", "invalid_value"),
    ({"text": "a", "emotion_control": {}}, "emotion_control.type", "missing_parameter"),
    ({"text": "a", "emotion_control": {"type": "mood"}}, "emotion_control.type", "invalid_value"),
    ({"text": "a", "emotion_control": {"type": "text_desc"}}, "emotion_control.description", "missing_parameter"),
    (
        {"text": "a", "emotion_control": {**EMOTION, "intensity": 1.1}},
        "emotion_control.intensity",
        "invalid_value",
    ),
    ({"text": "a", "emotion_control": {**EMOTION, "vector": {}}}, "emotion_control.vector", "unknown_parameter"),
    ({"text": "a", "emotion_control": {"type": "vector", "vector": {}}}, "emotion_control.vector", "invalid_value"),
    (
        {"text": "a", "emotion_control": {"type": "vector", "vector": {"joy": 1}}},
        "emotion_control.vector.joy",
        "unknown_parameter",
    ),
    (
        {"text": "a", "emotion_control": {"type": "vector", "vector": {"sad": 2}}},
        "emotion_control.vector.sad",
        "invalid_value",
    ),
    ({"text": "a", "reference_audio": ""}, "reference_audio", "not_audio"),
    ({"text": "a", "reference_audio": "no base64!"}, "reference_audio", "not_base64"),
    ({"text": "a", "reference_audio": "é"}, "reference_audio", "not_base64"),
    ({"text": "a", "reference_audio": "ab-_"}, "reference_audio", "not_base64"),
    ({"text": "a", "reference_audio": "data:audio/wav,plain"}, "reference_audio", "not_base64"),
    ({"text": "a", "reference_audio": base64_of(b"GIF89a no sound")}, "reference_audio", "not_audio"),
    ({"text": "a", "reference_audio": base64_of(sample(seconds=0.3))}, "reference_audio", "audio_too_short"),
    ({"text": "a", "reference_audio": base64_of(sample(seconds=40))}, "reference_audio", "audio_too_long"),
    ({"text": "a", "reference_audio": base64_of(sample(hertz=0))}, "reference_audio", "audio_silent"),
]


class TestRefusals:
    @pytest.mark.parametrize(("body", "param", "code"), REFUSED)
    def test_the_parameter_is_named(
        self, shared_server: RunningServer, body: dict[str, Any], param: str | None, code: str
    ) -> None:
        with shared_server.client() as client:
            answer = client.post("/generate", json=body)
        error = error_of(answer)
        assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
        assert error["type"] == "invalid_request_error"
        assert len(answer.content) < 1500
        assert "\r" not in error["message"]

    def test_several_problems_are_all_in_the_message(self, shared_server: RunningServer) -> None:
        error = error_of(shared_server.generate("a", duration_ratio=2, seed=-1, colour="red"))
        assert error["param"] == "duration_ratio"
        assert all(name in error["message"] for name in ("duration_ratio", "seed", "colour"))

    def test_a_long_value_is_not_repeated(self, shared_server: RunningServer) -> None:
        answer = shared_server.generate("a", format="x" * 100_000)
        assert "(100000 characters)" in error_of(answer)["message"]
        assert len(answer.content) < 1000

    def test_what_the_engine_refuses_is_the_callers(self, shared_server: RunningServer) -> None:
        answer = shared_server.generate("refuse this")
        error = error_of(answer)
        assert (answer.status_code, error["code"], error["param"]) == (400, "language_unsupported", "text")


class TestPages:
    def test_unknown_pages_and_methods(self, shared_server: RunningServer) -> None:
        with shared_server.client() as client:
            assert error_of(client.get("/nothing"))["code"] == "not_found"
            answer = client.get("/generate")
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
            assert error_of(answer)["code"] == "method_not_allowed"

    def test_the_api_describes_itself(self, shared_server: RunningServer) -> None:
        with shared_server.client() as client:
            described = client.get("/openapi.json").json()
        responses = described["paths"]["/generate"]["post"]["responses"]
        assert {"200", "400", "401", "413", "422", "429", "503"} <= set(responses)
        assert responses["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorBody")
        assert "audio/wav" in responses["200"]["content"]
        assert "HTTPValidationError" not in json.dumps(described)
        assert not json.dumps(described).count('application/json": {"schema": {}}')

    def test_metrics_count(self, shared_server: RunningServer) -> None:
        sample_name = 'speech_http_requests_total{method="POST",route="/generate",status="200"}'
        before = shared_server.metric(sample_name), shared_server.metric("speech_audio_seconds_total")
        assert shared_server.generate("Count me, please: 20").status_code == 200
        assert shared_server.metric(sample_name) == before[0] + 1
        assert shared_server.metric("speech_audio_seconds_total") == pytest.approx(before[1] + 1.0)
        assert shared_server.metric("speech_engine_ready") == 1
        assert shared_server.metric("speech_lane_depth") == 0
