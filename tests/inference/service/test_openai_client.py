"""The unmodified openai client against a service with a store and a queue: voices, their owners, retries, jobs."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.inference.server.running_server import KEY, OTHER_KEY, RunningServer, until
from tests.inference.service.identity_engine import ENGINE, digest_of, heard
from tests.inference.service.tenants import CONSENT, SOURCE
from tests.inference.voices.speech import NOT_SPEECH, speech_file

BUSY_KEY = "key-of-a-client-with-one-place"
MakeClient = Callable[..., openai.OpenAI]


def keys() -> dict[str, Any]:
    return {"first": KEY, "other": OTHER_KEY, "busy": {"key": BUSY_KEY, "concurrency": 1}}


def run(folder: Path, **settings: object) -> RunningServer:
    file = folder / "keys.json"
    file.write_text(json.dumps(keys()))
    file.chmod(0o600)
    store, queue = (folder / "objects").as_uri(), f"sqlite://{folder / 'queue.sqlite'}"
    return RunningServer(folder, **{"store": store, "queue": queue, "public_url": "http://speech", **settings})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = run(tmp_path_factory.mktemp("openai"), engine=ENGINE)
    yield running
    running.kill()


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = run(tmp_path_factory.mktemp("strict"))
    yield running
    running.kill()


@contextlib.contextmanager
def client_of(server: RunningServer, key: str = KEY, max_retries: int = 0) -> Generator[openai.OpenAI]:
    with (
        httpx.Client(transport=httpx.HTTPTransport(uds=str(server.socket)), timeout=30) as transport,
        openai.OpenAI(
            api_key=key, base_url="http://speech/v1", http_client=transport, max_retries=max_retries
        ) as client,
    ):
        yield client


def add(client: openai.OpenAI, name: str, audio: bytes, **more: str) -> Any:
    return client.audio.voices.create(
        name=name, consent=CONSENT, audio_sample=("a.wav", audio, "audio/wav"), extra_body={"source": SOURCE, **more}
    )


def listed(client: openai.OpenAI) -> dict[str, str]:
    """Names by id; the library has no method for it, but takes any path."""
    found = client.get("/audio/voices", cast_to=object)
    assert isinstance(found, dict)
    return {voice["id"]: voice["name"] for voice in found["data"]}


class TestVoices:
    def test_made_heard_listed_and_deleted(self, server: RunningServer) -> None:
        with client_of(server) as client:
            voice = add(
                client,
                "Voice of the house",
                speech_file(text="A voice that was made for this house, and for no other one."),
            )
            assert (voice.object, voice.name) == ("audio.voice", "Voice of the house")
            digest = voice.sha256[:16]
            for name in ({"id": voice.id}, voice.id, "Voice of the house"):
                clip = client.audio.speech.create(input=f"By {name}", model="tts-1", voice=name, response_format="wav")
                assert heard(clip.content) == (digest, digest_of(f"By {name}".encode()))
            assert listed(client)[voice.id] == "Voice of the house"
            gone = client.audio.voices.delete(voice.id)
            assert (gone.id, gone.deleted) == (voice.id, True)
            assert voice.id not in listed(client)
            with pytest.raises(openai.NotFoundError) as missing:
                client.audio.speech.create(input="Again.", model="tts-1", voice=voice.id)
            assert (missing.value.code, missing.value.param) == ("voice_not_found", "voice")

    def test_it_streams_with_the_clients_voice(self, server: RunningServer) -> None:
        with client_of(server) as client:
            voice = add(client, "streamer", speech_file(text="Somebody who likes to stream all day long."))
            with client.audio.speech.with_streaming_response.create(
                input="A stream.", model="tts-1", voice={"id": voice.id}, response_format="wav"
            ) as answer:
                streamed = b"".join(answer.iter_bytes(100))
                assert answer.headers["x-engine"] == "identity/1"
            assert heard(streamed) == (voice.sha256[:16], digest_of(b"A stream."))

    def test_another_key_has_only_what_is_shared(self, server: RunningServer) -> None:
        with client_of(server) as mine, client_of(server, OTHER_KEY) as theirs:
            private = add(mine, "mine alone", speech_file(text="This one is mine and nobody else may use it."))
            shared = add(mine, "for all", speech_file(text="This one is for everybody who works here."), scope="shared")
            assert shared.id in listed(theirs)
            assert private.id not in listed(theirs)
            clip = theirs.audio.speech.create(input="Borrowed.", model="tts-1", voice=shared.id, response_format="flac")
            assert heard(clip.content)[0] == shared.sha256[:16]
            for call in (
                lambda: theirs.audio.speech.create(input="Stolen.", model="tts-1", voice=private.id),
                lambda: theirs.audio.voices.delete(private.id),
            ):
                with pytest.raises(openai.NotFoundError) as refused:
                    call()
                assert refused.value.code == "voice_not_found"
            with pytest.raises(openai.PermissionDeniedError) as kept:
                theirs.audio.voices.delete(shared.id)
            assert kept.value.code == "not_the_owner"

    @pytest.mark.parametrize(
        ("fields", "param", "code"),
        [
            ({"consent": "yes"}, "consent", "invalid_value"),
            ({"name": "alloy"}, "name", "invalid_value"),
            ({"audio_sample": ("a.wav", NOT_SPEECH)}, "audio_sample", "audio_no_speech"),
            ({"audio_sample": ("a.wav", b"")}, "audio_sample", "not_audio"),
            ({"extra_body": {}}, "source", "missing_parameter"),
            ({"extra_body": {"source": SOURCE, "scope": "world"}}, "scope", "invalid_value"),
            ({"type": "prompt"}, "type", "invalid_value"),
        ],
    )
    def test_errors_arrive_whole(self, server: RunningServer, fields: dict[str, Any], param: str, code: str) -> None:
        good = {
            "name": "a voice",
            "consent": CONSENT,
            "audio_sample": ("a.wav", speech_file()),
            "extra_body": {"source": SOURCE},
        }
        with client_of(server) as client, pytest.raises(openai.BadRequestError) as refused:
            client.audio.voices.create(**{**good, **fields})
        assert (refused.value.param, refused.value.code) == (param, code)
        assert refused.value.type == "invalid_request_error"
        assert refused.value.request_id == refused.value.response.headers["x-request-id"]

    def test_a_name_that_is_taken(self, server: RunningServer) -> None:
        with client_of(server) as client:
            add(client, "taken", speech_file(text="The first one of this name that there ever was."))
            with pytest.raises(openai.ConflictError) as refused:
                add(client, "taken", speech_file(text="The second one of this name, which is one too many."))
        assert (refused.value.code, refused.value.param) == ("voice_name_taken", "name")


class TestRetries:
    def test_it_comes_back_when_it_is_told_to(
        self, strict_server: RunningServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The library's sleep ends what it waits for, and takes no time."""
        waits: list[float] = []
        sleep = time.sleep

        def waited(seconds: float) -> None:
            if threading.current_thread() is not threading.main_thread() or seconds < 0.5:
                sleep(seconds)
                return
            waits.append(seconds)
            strict_server.open_gate("place")
            holder.join()

        def hold() -> None:
            with strict_server.client(BUSY_KEY) as holding:
                assert holding.post("/generate", json={"text": "gate place"}).status_code == 200

        holder = threading.Thread(target=hold)
        holder.start()
        until(lambda: strict_server.called("gate place"))
        monkeypatch.setattr(time, "sleep", waited)
        with client_of(strict_server, BUSY_KEY, max_retries=2) as client:
            clip = client.audio.speech.create(input="At last.", model="tts-1", voice="low", response_format="wav")
        assert clip.content.startswith(b"RIFF")
        assert waits == [2.0]  # the server's Retry-After, not the library's own half second

    def test_without_retries_the_error_says_when(self, strict_server: RunningServer) -> None:
        holder = threading.Thread(target=self._hold, args=(strict_server,))
        holder.start()
        until(lambda: strict_server.called("gate again"))
        try:
            with client_of(strict_server, BUSY_KEY) as client, pytest.raises(openai.RateLimitError) as refused:
                client.audio.speech.create(input="Now!", model="tts-1", voice="low")
        finally:
            strict_server.open_gate("again")
            holder.join()
        assert (refused.value.code, refused.value.type) == ("concurrency_limit", "rate_limit_error")
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 120

    @staticmethod
    def _hold(server: RunningServer) -> None:
        with server.client(BUSY_KEY) as holding:
            holding.post("/generate", json={"text": "gate again"})

    def test_an_engine_that_fails_is_a_server_error_to_retry(
        self, strict_server: RunningServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[float] = []
        sleep = time.sleep
        monkeypatch.setattr(time, "sleep", lambda seconds: waits.append(seconds) if seconds >= 0.5 else sleep(seconds))
        with (
            client_of(strict_server, max_retries=1) as client,
            pytest.raises(openai.InternalServerError) as refused,
        ):
            client.audio.speech.create(input="fail always", model="tts-1", voice="low")
        assert (refused.value.status_code, refused.value.code) == (503, "engine_failed")
        assert waits == [2.0]
        assert len(strict_server.called("fail always")) == 4  # two tries for each of two requests


class TestJobs:
    def test_the_library_takes_any_path(self, server: RunningServer) -> None:
        with client_of(server) as client:
            body = {"clips": [{"text": "One."}, {"text": "Two."}], "voice": "low"}
            job = client.post("/jobs", body=body, cast_to=object, options={"idempotency_key": "from-the-library"})
            assert isinstance(job, dict)

            def succeeded() -> bool:
                found = client.get(f"/jobs/{job['id']}", cast_to=object)
                return isinstance(found, dict) and found["status"] == "succeeded"

            until(succeeded)
            with pytest.raises(openai.NotFoundError) as missing:
                client.get("/jobs/job_none", cast_to=object)
            assert missing.value.code == "job_not_found"
