"""The unmodified openai client against a running server."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Generator
from typing import Any

import httpx
import openai
import pytest
import soundfile

from tests.inference.server.running_server import KEY, RunningServer
from tests.inference.server.strict_engine import SAMPLE_RATE


@pytest.fixture
def client(shared_server: RunningServer) -> Generator[openai.OpenAI]:
    with (
        httpx.Client(transport=httpx.HTTPTransport(uds=str(shared_server.socket)), timeout=30) as transport,
        openai.OpenAI(api_key=KEY, base_url="http://speech/v1", http_client=transport, max_retries=0) as made,
    ):
        yield made


def speak(client: openai.OpenAI, text: str, **options: Any) -> openai.HttpxBinaryResponseContent:
    return client.audio.speech.create(**{"input": text, "model": "tts-1", "voice": "default", **options})


class TestSpeech:
    @pytest.mark.parametrize("form", ["wav", "flac", "mp3", "opus"])
    def test_formats_that_a_file_reader_knows(self, client: openai.OpenAI, form: str) -> None:
        answer = speak(client, "Through the client library.", response_format=form)
        samples, rate = soundfile.read(io.BytesIO(answer.content))
        assert samples.size / rate == pytest.approx(27 * 0.05, abs=0.1)

    def test_mp3_is_the_default_and_pcm_is_24_khz(self, client: openai.OpenAI) -> None:
        assert speak(client, "By default.").response.headers["content-type"] == "audio/mpeg"
        pcm = speak(client, "Headerless, 20 chars", response_format="pcm").content
        assert len(pcm) == pytest.approx(1.0 * 24_000 * 2, abs=100)
        assert speak(client, "In ADTS.", response_format="aac").content[:1] == b"\xff"

    @pytest.mark.parametrize("speed", [0.25, 1.0, 4.0])
    def test_speed(self, client: openai.OpenAI, speed: float) -> None:
        answer = speak(client, "Forty characters make two seconds of it.", speed=speed, response_format="wav")
        samples, _ = soundfile.read(io.BytesIO(answer.content))
        assert samples.size == pytest.approx(2 * SAMPLE_RATE / speed, abs=1)

    def test_a_stock_voice_is_the_default_with_a_warning(self, client: openai.OpenAI) -> None:
        answer = speak(client, "Stock voice.", voice="alloy", instructions="cheerful")
        warnings = answer.response.headers["x-speech-warnings"]
        assert warnings.startswith("voice_substituted: alloy is not here, default speaks; emotion_unsupported:")

    def test_a_voice_may_be_an_object(self, client: openai.OpenAI) -> None:
        assert speak(client, "Object voice.", voice={"id": "low"}).content

    def test_the_services_own_keys_come_as_extra_body(
        self, client: openai.OpenAI, shared_server: RunningServer
    ) -> None:
        extra = {"text_with_pinyin": "这本书要huán了", "target_seconds": 0.5, "seed": 3, "language": "zh"}
        answer = speak(client, "这本书要还了", response_format="wav", extra_body=extra)
        samples, rate = soundfile.read(io.BytesIO(answer.content))
        assert samples.size == rate // 2
        assert shared_server.called("这本书要huan2了")

    def test_it_streams(self, client: openai.OpenAI) -> None:
        with client.audio.speech.with_streaming_response.create(
            input="A streamed answer.", model="tts-1", voice="default", response_format="wav"
        ) as answer:
            assert b"".join(answer.iter_bytes(1000)).startswith(b"RIFF")

    def test_sse_events_carry_the_same_sound(self, client: openai.OpenAI) -> None:
        text = "An answer in events, long enough for several of them."
        whole = speak(client, text, response_format="wav").content
        streamed = speak(client, text, response_format="wav", stream_format="sse")
        assert streamed.response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in streamed.text.split("\n\n") if line]
        assert [event["type"] for event in events[:-1]] == ["speech.audio.delta"] * (len(events) - 1)
        assert len(events) > 2
        assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == whole
        usage = {"input_tokens": len(text), "output_tokens": 3, "total_tokens": len(text) + 3}
        assert events[-1] == {"type": "speech.audio.done", "usage": usage}


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "kind", "param", "code"),
        [
            ({"model": "gpt-9"}, openai.NotFoundError, "model", "model_not_found"),
            ({"voice": "nobody"}, openai.BadRequestError, "voice", "voice_not_found"),
            ({"speed": 5}, openai.BadRequestError, "speed", "invalid_value"),
            ({"response_format": "ogg"}, openai.BadRequestError, "response_format", "invalid_value"),
            ({"stream_format": "ws"}, openai.BadRequestError, "stream_format", "invalid_value"),
            ({"input": "x" * 4097}, openai.BadRequestError, "input", "invalid_value"),
            ({"input": "..."}, openai.BadRequestError, "input", "no_speech"),
            ({"voice": {"id": 5}}, openai.BadRequestError, "voice", "invalid_value"),
            ({"voice": {"name": "x"}}, openai.BadRequestError, "voice", "invalid_value"),
            ({"extra_body": {"colour": 1}}, openai.BadRequestError, "colour", "unknown_parameter"),
            (
                {"speed": 1.1, "extra_body": {"duration_ratio": 1.1}},
                openai.BadRequestError,
                "duration_ratio",
                "conflicting_parameters",
            ),
            (
                {"instructions": "sad", "extra_body": {"emotion_control": {"type": "none"}}},
                openai.BadRequestError,
                "instructions",
                "conflicting_parameters",
            ),
            (
                {"voice": "low", "extra_body": {"reference_audio": "AAAA"}},
                openai.BadRequestError,
                "voice",
                "conflicting_parameters",
            ),
        ],
    )
    def test_they_arrive_whole(
        self, client: openai.OpenAI, options: dict[str, Any], kind: type[openai.APIStatusError], param: str, code: str
    ) -> None:
        with pytest.raises(kind) as raised:
            speak(client, options.pop("input", "Hello."), **options)
        assert (raised.value.param, raised.value.code) == (param, code)
        assert raised.value.type == "invalid_request_error"
        assert raised.value.request_id

    def test_the_wrong_key(self, client: openai.OpenAI) -> None:
        with pytest.raises(openai.AuthenticationError) as raised:
            speak(client.with_options(api_key="another-key-entirely"), "Hello.")
        assert raised.value.code == "invalid_api_key"


class TestModels:
    def test_the_engine_is_listed_first(self, client: openai.OpenAI) -> None:
        models = [model.id for model in client.models.list()]
        assert models == ["strict", "indextts2", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"]
        assert client.models.retrieve("strict").object == "model"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("none")
