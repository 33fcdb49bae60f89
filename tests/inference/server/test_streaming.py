"""Sound before the end of the speech: a real server and an engine that speaks in segments when it is told to."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import KEY, RunningServer, until
from tests.inference.server.segmenting_engine import ENGINE, SAMPLE_RATE, SECONDS_PER_CHARACTER

HEAD_BYTES = 44
KEY_OF_ONE = "key-of-a-client-with-one-place"
RETRIES = "speech_engine_retries_total"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("streaming")
    keys = folder / "keys.json"
    keys.write_text(json.dumps({"first": KEY, "one": {"key": KEY_OF_ONE, "concurrency": 1}}))
    keys.chmod(0o600)
    running = RunningServer(folder, engine=ENGINE)
    yield running
    running.kill()


def request(text: str, **fields: Any) -> dict[str, Any]:
    return {"input": text, "model": "tts-1", "voice": "default", "response_format": "wav", **fields}


@contextlib.contextmanager
def asked(
    server: RunningServer, text: str, headers: dict[str, str] | None = None, key: str = KEY, **fields: Any
) -> Generator[httpx.Response]:
    with (
        server.client(key) as client,
        client.stream("POST", "/v1/audio/speech", json=request(text, **fields), headers=headers) as answer,
    ):
        yield answer


def samples_of(characters: int) -> int:
    return round(characters * SECONDS_PER_CHARACTER * SAMPLE_RATE)


def beginning(chunks: Iterator[bytes], size: int) -> bytes:
    """The first `size` bytes: fails if the answer ends, or stalls, before."""
    found = b""
    while len(found) < size:
        found += next(chunks)
    assert len(found) == size
    return found


def whole(server: RunningServer, text: str, **fields: Any) -> bytes:
    """The clip as /generate makes it: in one call of the engine, and one answer."""
    answer = server.generate(text, **fields)
    assert answer.status_code == 200, answer.text
    return answer.content


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(block.removeprefix("data: ")) for block in text.split("\n\n") if block]


def ended(server: RunningServer, how: str) -> float:
    return server.metric(f'speech_streams_total{{ended="{how}"}}')


class TestFirstSegment:
    @pytest.mark.parametrize("stream_format", [None, "audio"])
    def test_it_is_heard_while_the_second_is_spoken(self, server: RunningServer, stream_format: str | None) -> None:
        name = f"first-{stream_format}"
        text = f"Ten chars.|gate {name}|and more"
        fields = {} if stream_format is None else {"stream_format": stream_format}
        with asked(server, text, **fields) as answer:
            assert answer.status_code == 200
            assert "content-length" not in answer.headers
            assert answer.headers["content-type"] == "audio/wav"
            assert answer.headers["x-engine"] == "segmenting/1"
            assert "x-audio-seconds" not in answer.headers
            chunks = answer.iter_raw()
            first = beginning(chunks, HEAD_BYTES + 2 * samples_of(10))
            assert server.metric("speech_http_requests_in_flight") == 1
            server.open_gate(name)
            rest = b"".join(chunks)
        assert (first + rest)[HEAD_BYTES:] == whole(server, text)[HEAD_BYTES:]
        assert [call["how"] for call in server.called(text)] == ["segments", "speak"]

    @pytest.mark.parametrize("form", ["pcm", "mp3", "opus", "aac"])
    def test_in_every_format_that_can_be_sent_so(self, server: RunningServer, form: str) -> None:
        text = f"Some twenty chars...|gate {form}"
        with asked(server, text, response_format=form) as answer:
            chunks = answer.iter_raw()
            assert next(chunks)
            assert not server.called(f"gate {form}", "segment")
            server.open_gate(form)
            for _ in chunks:
                pass

    def test_pcm_is_the_whole_clips_to_the_byte(self, server: RunningServer) -> None:
        server.open_gate("pcm-whole")
        text = "To the last|gate pcm-whole|byte of it"
        with asked(server, text, response_format="pcm", stream_format="audio") as answer:
            assert answer.read() == whole(server, text, format="pcm")

    def test_events(self, server: RunningServer) -> None:
        text = "In several events, as there is much to say.|gate events|warn of it"
        with asked(server, text, stream_format="sse") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            chunks = answer.iter_text()
            first = next(chunks)
            assert first.startswith('data: {"type":"speech.audio.delta"')
            server.open_gate("events")
            *deltas, done = events_of(first + "".join(chunks))
        assert len(deltas) > 2
        # as one text too: a client may put the texts together and decode once
        assert base64.b64decode("".join(delta["audio"] for delta in deltas))[HEAD_BYTES:] == whole(server, text)[44:]
        seconds = -(-samples_of(len(text.replace("|", ""))) // SAMPLE_RATE)
        usage = {"input_tokens": len(text), "output_tokens": seconds, "total_tokens": len(text) + seconds}
        assert done == {"type": "speech.audio.done", "usage": usage, "warnings": "speech_cut: told late"}

    def test_the_time_to_it_is_measured(self, server: RunningServer) -> None:
        heard = server.metric("speech_time_to_first_audio_seconds_count")
        with asked(server, "Now|gate measured") as answer:
            chunks = answer.iter_raw()
            next(chunks)
            assert server.metric("speech_time_to_first_audio_seconds_count") == heard + 1
            server.open_gate("measured")
            for _ in chunks:
                pass
        assert server.metric("speech_time_to_first_audio_seconds_count") == heard + 1
        found = answer.headers["x-request-id"]
        line = until(lambda: [line for line in server.log("request") if line["request_id"] == found])[0]
        assert (line["streamed"], line["ended"], line["status"]) == (True, "complete", 200)
        assert line["audio_seconds"] == pytest.approx(16 * SECONDS_PER_CHARACTER, abs=0.01)


class TestWhole:
    @pytest.mark.parametrize(
        "fields",
        [
            {"input": "One segment."},
            {"response_format": "flac"},
            {"target_seconds": 1.5},
            {"speed": 4.0},
        ],
        ids=["one-segment", "flac", "target", "beyond-the-engines-pace"],
    )
    def test_what_has_its_length(self, server: RunningServer, fields: dict[str, Any]) -> None:
        text = fields.pop("input", f"Of two|segments {sorted(fields)}")
        with asked(server, text, stream_format="audio", **fields) as answer:
            assert answer.status_code == 200
            assert int(answer.headers["content-length"]) == len(answer.read())
            assert float(answer.headers["x-audio-seconds"]) > 0

    def test_a_pace_of_the_engines_own_is_no_reason(self, server: RunningServer) -> None:
        text = "A little faster|gate pace"
        with asked(server, text, speed=1.25) as answer:
            chunks = answer.iter_raw()
            first = beginning(chunks, HEAD_BYTES + 2 * round(samples_of(15) * 0.8))
            server.open_gate("pace")
            assert (first + b"".join(chunks))[44:] == whole(server, text, duration_ratio=1.25)[44:]

    def test_the_same_samples_however_it_is_asked_for(self, server: RunningServer) -> None:
        text = "One.|Two, three.|Four!"
        with asked(server, text, stream_format="sse", seed=4) as answer:
            *deltas, _ = events_of(answer.read().decode())
        sound = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
        assert np.array_equal(
            np.frombuffer(sound[44:], dtype="<i2"), np.frombuffer(whole(server, text, seed=4)[44:], dtype="<i2")
        )


class TestOpenAiClient:
    @pytest.fixture
    def client(self, server: RunningServer) -> Generator[openai.OpenAI]:
        with (
            httpx.Client(transport=httpx.HTTPTransport(uds=str(server.socket)), timeout=30) as transport,
            openai.OpenAI(api_key=KEY, base_url="http://speech/v1", http_client=transport, max_retries=0) as made,
        ):
            yield made

    def test_with_streaming_response_hears_the_first_segment(
        self, client: openai.OpenAI, server: RunningServer
    ) -> None:
        with client.audio.speech.with_streaming_response.create(
            input="By the library.|gate library", model="tts-1", voice="alloy", response_format="wav"
        ) as answer:
            chunks = answer.iter_bytes(1000)
            assert next(chunks).startswith(b"RIFF")
            assert answer.headers["x-speech-warnings"].startswith("voice_substituted")
            server.open_gate("library")
            assert sum(map(len, chunks)) > 1000

    def test_create_has_the_whole_with_its_length(self, client: openai.OpenAI) -> None:
        clip = client.audio.speech.create(
            input="Two|segments at once.", model="tts-1", voice="default", response_format="wav"
        )
        assert int(clip.response.headers["content-length"]) == len(clip.content)
        assert len(clip.content) == int.from_bytes(clip.content[4:8], "little") + 8

    def test_a_refusal_before_the_first_sound_is_an_error_like_others(self, client: openai.OpenAI) -> None:
        with (
            pytest.raises(openai.BadRequestError) as refused,
            client.audio.speech.with_streaming_response.create(input="refuse|it", model="tts-1", voice="default"),
        ):
            pass
        assert (refused.value.code, refused.value.param) == ("speech_failed", "input")


class TestFaults:
    def test_what_was_not_sent_is_spoken_again_and_nothing_else(self, server: RunningServer) -> None:
        retries = server.metric(RETRIES)
        text = "Before it.|crashonce in here|and after"
        with asked(server, text) as answer:
            body = answer.read()
        first, again = server.called(text)
        assert (first["done"], again["done"]) == (0, 1)
        assert first["seed"] == again["seed"] is not None  # it goes on as it began
        assert len(server.called("Before it.", "segment")) == 1
        assert server.metric(RETRIES) == retries + 1
        assert len(body) == HEAD_BYTES + 2 * sum(map(samples_of, (10, 17, 9)))

    @pytest.mark.parametrize("fault", ["crash", "refuse"])
    def test_after_the_first_sound_the_connection_breaks(self, server: RunningServer, fault: str) -> None:
        failed = ended(server, "failed")
        text = f"It begins well.|{fault} in here"
        with asked(server, text) as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                answer.read()
        until(lambda: ended(server, "failed") == failed + 1)
        found = answer.headers["x-request-id"]
        line = until(lambda: [line for line in server.log("request") if line["request_id"] == found])[0]
        assert line["code"] == {"crash": "engine_failed", "refuse": "speech_failed"}[fault]
        assert not [
            line for line in server.log("request_failed") if line["request_id"] == answer.headers["x-request-id"]
        ]
        assert server.generate(f"all is well after {fault}").status_code == 200

    def test_in_events_it_is_told(self, server: RunningServer) -> None:
        with asked(server, "It begins.|refuse then", stream_format="sse") as answer:
            *deltas, last = events_of(answer.read().decode())
        assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
        assert (last["type"], last["error"]["code"], last["error"]["param"]) == ("error", "speech_failed", "input")

    def test_a_failed_clip_is_not_repeated_from_memory(self, server: RunningServer) -> None:
        text = "Half of it.|refuse"
        for tries in (1, 2):
            with asked(server, text) as answer, pytest.raises(httpx.RemoteProtocolError):
                answer.read()
            assert len(server.called(text)) == tries


class TestEnd:
    def test_a_drain_waits_for_a_clip_and_a_kill_breaks_it_off(self, start_server: StartServer) -> None:
        server = start_server(engine=ENGINE)

        def break_off() -> None:
            with asked(server, "Not for long.|gate never") as answer:
                chunks = answer.iter_raw()
                next(chunks)
                server.kill()
                with pytest.raises(httpx.RemoteProtocolError):
                    list(chunks)

        with ThreadPoolExecutor(1) as pool:
            with asked(server, "Begun.|gate drained") as answer:
                chunks = answer.iter_raw()
                size = len(next(chunks))
                waiting = pool.submit(break_off)
                until(lambda: server.metric("speech_lane_depth") == 1)
                server.terminate()
                server.probe()
                until(lambda: not server.socket.exists())
                server.open_gate("drained")
                size += sum(map(len, chunks))
            assert size == HEAD_BYTES + 2 * (samples_of(6) + samples_of(12))
            waiting.result(30)

    def test_its_time_and_the_drains_are_up(self, start_server: StartServer) -> None:
        server = start_server(engine=ENGINE, drain_seconds=1, reply_seconds=1)
        with asked(server, "In time.|gate never", stream_format="sse") as answer:
            *_, last = events_of(answer.read().decode())
        assert last["error"]["code"] == "too_late"
        until(lambda: server.called("gate never", "cancelled"))
        with asked(server, "gate never|in time", headers={"X-Reply-Within": "0.3"}) as answer:
            assert answer.status_code == 503
            assert json.loads(answer.read())["error"]["code"] == "too_late"
        with asked(server, "Begun.|gate never") as answer:
            chunks = answer.iter_raw()
            next(chunks)
            server.terminate()
            server.probe()
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)
        assert server.process.wait(60) == 0


class TestSharing:
    def test_who_comes_in_the_middle_has_all_of_it(self, server: RunningServer) -> None:
        text = "Shared by two.|gate sharing"
        joined = server.metric('speech_dedup_hits_total{kind="joined"}')
        with asked(server, text) as one, asked(server, text) as two, asked(server, text, stream_format="sse") as three:
            chunks = [one.iter_raw(), two.iter_raw()]
            firsts = [next(answer) for answer in chunks]
            assert firsts[0] == firsts[1]
            assert two.headers["idempotent-replayed"] == "true"
            server.open_gate("sharing")
            bodies = [first + b"".join(rest) for first, rest in zip(firsts, chunks, strict=True)]
            *deltas, _ = events_of(three.read().decode())
        assert bodies[0] == bodies[1] == b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
        assert len(server.called(text)) == 1
        assert server.metric('speech_dedup_hits_total{kind="joined"}') == joined + 2

    def test_the_same_again_has_the_same_bytes_and_their_length(self, server: RunningServer) -> None:
        server.open_gate("again")
        text = "Once more.|gate again"
        with asked(server, text) as answer:
            first = answer.read()
        with asked(server, text) as answer:
            assert answer.read() == first
            assert answer.headers["idempotent-replayed"] == "true"
            assert float(answer.headers["x-audio-seconds"]) > 0
        assert len(server.called(text)) == 1

    def test_the_last_one_who_leaves_ends_it(self, server: RunningServer) -> None:
        text = "Left by two.|gate nobody"
        with asked(server, text) as staying:
            chunks = staying.iter_raw()
            next(chunks)
            with asked(server, text) as leaving:
                next(leaving.iter_raw())
            until(lambda: server.metric("speech_http_requests_in_flight") == 1)
            assert not server.called("gate nobody", "cancelled")
        until(lambda: server.called("gate nobody", "cancelled"), 1)

    def test_an_idempotency_key_names_one_clip(self, server: RunningServer) -> None:
        server.open_gate("named")
        key = {"Idempotency-Key": "a-growing-one"}
        bodies = []
        for _ in range(2):
            with asked(server, "Named.|gate named", headers=key) as answer:
                bodies.append(answer.read())
        assert bodies[0] == bodies[1]
        assert len(server.called("Named.|gate named")) == 1
        with asked(server, "Another.|gate named", headers=key) as answer:
            assert answer.status_code == 422


class TestClients:
    def test_one_who_leaves_frees_the_engine_within_a_second(self, server: RunningServer) -> None:
        left = ended(server, "client_left")
        with asked(server, "Going.|gate away") as answer:
            next(answer.iter_raw())
        until(lambda: server.called("gate away", "cancelled"), 1)
        assert server.generate("next please").status_code == 200
        pids = {call["pid"] for text in ("Going.|gate away", "next please") for call in server.called(text)}
        assert len(pids) == 1
        until(lambda: ended(server, "client_left") == left + 1)

    def test_one_who_reads_nothing_holds_nobody_up(self, server: RunningServer) -> None:
        """More than every buffer between the two holds, of which no byte is read until others were served."""
        text = "|".join(["x" * 199] * 20)  # 200 s of sound, 9 MB
        body = json.dumps(request(text)).encode()
        head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer {KEY}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.socket(socket.AF_UNIX) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(str(server.socket))
            slow.settimeout(30)
            slow.sendall(head.encode() + body)
            until(lambda: len(server.called("x" * 199, "segment")) == 20)
            assert server.generate("served meanwhile").status_code == 200
            received = b""
            while not received.endswith(b"\r\n0\r\n\r\n"):
                chunk = slow.recv(1 << 20)
                assert chunk
                received += chunk
        assert len(received) > 20 * 2 * samples_of(199)

    def test_many_at_once_get_what_they_asked_for(self, server: RunningServer) -> None:
        def ask(number: int) -> bool:
            text = f"Client {number} says|something of its own|{number * 7919}"
            with asked(server, text) as answer:
                body = answer.read()
            return body[HEAD_BYTES:] == whole(server, text)[HEAD_BYTES:]

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(12)))

    def test_clients_that_leave_anywhere_leave_nothing_behind(self, server: RunningServer) -> None:
        """Cut off at random places of the answer, dozens of times: every place in every queue is free again."""

        def ask(number: int) -> None:
            with asked(server, f"Cut off {number}|at any place|of the answer") as answer:
                for place, _ in enumerate(answer.iter_raw(777)):
                    if place == number:
                        return

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(32)))
        until(lambda: server.metric("speech_http_requests_in_flight") == 0)
        assert server.metric("speech_lane_depth") == 0
        assert server.generate("and now the next").status_code == 200


class TestLimits:
    def test_a_clip_that_grows_has_its_clients_place_until_it_ends(self, server: RunningServer) -> None:
        for number in range(3):
            with asked(server, f"Heard.|gate never {number}", key=KEY_OF_ONE) as answer:
                chunks = answer.iter_raw()  # kept: the connection closes with it
                next(chunks)
                refused = server.generate("meanwhile", KEY_OF_ONE)
                assert refused.json()["error"]["code"] == "concurrency_limit"
            until(lambda: server.generate("free again", KEY_OF_ONE).status_code == 200)

    def test_what_was_heard_of_a_clip_is_counted(self, server: RunningServer) -> None:
        # Its turn comes after those of clips whose clients left, which are counted by then.
        assert server.generate("Nobody else is in the lane.").status_code == 200
        spoken = server.metric("speech_audio_seconds_total")
        with asked(server, "Heard of it.|gate never") as answer:
            next(answer.iter_raw())
        until(lambda: server.metric("speech_audio_seconds_total") == pytest.approx(spoken + 12 * 0.05))
