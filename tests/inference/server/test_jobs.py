"""Jobs through a running server: what clients see, and what no client of another sees."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Generator
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from tests.inference.server.running_server import KEY, OTHER_KEY, RunningServer, until
from tests.inference.server.strict_engine import tone_of

ADMIN_KEY = "key-of-the-administrator"
ENDED = ("succeeded", "failed", "cancelled")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    running = start(tmp_path_factory.mktemp("jobs"))
    yield running
    running.kill()


def start(folder: Any, **settings: object) -> RunningServer:
    (folder / "store").mkdir(exist_ok=True)
    keys = {"first": KEY, "other": OTHER_KEY, "boss": {"key": ADMIN_KEY, "admin": True}}
    file = folder / "keys.json"
    file.write_text(json.dumps(keys))
    file.chmod(0o600)
    settings = {
        "store": f"file://{folder / 'store'}",
        "queue": f"sqlite:///{folder / 'queue.sqlite'}",
        "job_lease_seconds": 3,
        **settings,
    }
    return RunningServer(folder, **settings)


def post(server: RunningServer, body: object, key: str = KEY, **headers: str) -> httpx.Response:
    with server.client(key) as client:
        return client.post("/v1/jobs", json=body, headers=headers)


def get(server: RunningServer, path: str, key: str = KEY) -> httpx.Response:
    with server.client(key) as client:
        return client.get(path)


def ended(server: RunningServer, job: str, key: str = KEY) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = get(server, f"/v1/jobs/{job}", key).json()
        return found if found["status"] in ENDED else None

    return until(look, 60)


def clips(server: RunningServer, job: str, key: str = KEY) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    more = True
    while more:
        after = found[-1]["clip"] if found else -1
        page = get(server, f"/v1/jobs/{job}/clips?after={after}", key).json()
        found += page["data"]
        more = page["has_more"]
    return found


def sound(server: RunningServer, clip: dict[str, Any]) -> tuple[np.ndarray, int]:
    with server.client(None) as client:  # the URL alone is enough
        answer = client.get(clip["url"])
    assert answer.status_code == 200
    return soundfile.read(io.BytesIO(answer.content))


def pitch(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * rate / samples.size)


class TestOneClip:
    def test_it_is_accepted_and_made(self, server: RunningServer) -> None:
        answer = post(server, {"text": "a job of its own", "voice": "high", "format": "flac"})
        assert answer.status_code == 202
        job = answer.json()
        assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
        assert (job["object"], job["progress"]["total"]) == ("job", 1)
        done = ended(server, job["id"])
        assert (done["status"], done["progress"]["succeeded"]) == ("succeeded", 1)
        (clip,) = done["clips"]
        assert clip["key"].endswith(f"{job['id']}.flac")
        samples, rate = sound(server, clip)
        assert pitch(samples, rate) == pytest.approx(tone_of("high"), abs=3)
        assert samples.size / rate == pytest.approx(clip["audio_seconds"], abs=0.01)
        assert done["progress"]["audio_seconds"] == clip["audio_seconds"]

    def test_a_reference_and_every_field_of_generate(self, server: RunningServer) -> None:
        rate = 16_000
        wave = 0.3 * np.sin(2 * np.pi * 200 * np.arange(rate * 3) / rate) * np.linspace(0.5, 1, rate * 3)
        file = io.BytesIO()
        soundfile.write(file, wave, rate, format="WAV")
        encoded = base64.b64encode(file.getvalue()).decode()
        body = {
            "text_with_pinyin": "你好 ni3 hao3",
            "reference_audio": encoded,
            "emotion_control": {"type": "audio", "audio": encoded, "intensity": 0.5},
            "duration_ratio": 1.25,
            "seed": 7,
        }
        job = post(server, body).json()
        (clip,) = ended(server, job["id"])["clips"]
        assert clip["status"] == "succeeded"
        assert clip["natural_seconds"] == pytest.approx(clip["audio_seconds"] * 1.25, abs=0.01)
        assert "emotion_unsupported" in clip["warnings"]
        assert encoded[:40] not in server.log_file.read_text()

    def test_a_text_that_the_engine_refuses_fails_with_its_code(self, server: RunningServer) -> None:
        done = ended(server, post(server, {"text": "refuse this"}).json()["id"])
        assert done["status"] == "failed"
        assert done["clips"][0]["error"]["code"] == "language_unsupported"


class TestBatches:
    def test_every_clip_is_its_own(self, server: RunningServer) -> None:
        texts = [f"clip {'x' * (number % 7)} number {number}" for number in range(230)]
        body = {
            "voice": "low",
            "clips": [
                {"text": text, **({"voice": "high", "format": "mp3"} if number % 5 == 0 else {})}
                for number, text in enumerate(texts)
            ],
        }
        job = post(server, body).json()
        assert job["clips"] is None
        done = ended(server, job["id"])
        assert done["progress"] | {"audio_seconds": 0, "synthesis_seconds": 0} == {
            "total": 230, "succeeded": 230, "failed": 0, "cancelled": 0, "audio_seconds": 0, "synthesis_seconds": 0,
        }  # fmt: skip
        found = clips(server, job["id"])
        assert [clip["clip"] for clip in found] == list(range(230))
        for number in (0, 1, 99, 100, 101, 229):
            samples, rate = sound(server, found[number])
            assert pitch(samples, rate) == pytest.approx(tone_of("high" if number % 5 == 0 else "low"), abs=5)
            assert samples.size / rate == pytest.approx(0.05 * len(texts[number]), abs=0.1)
        assert len(server.called(texts[17])) == 1

    def test_one_bad_clip_fails_alone(self, server: RunningServer) -> None:
        body = {"clips": [{"text": "fine"}, {"text": "refuse"}, {"text": "fine too"}]}
        done = ended(server, post(server, body).json()["id"])
        assert (done["status"], done["progress"]["failed"], done["progress"]["succeeded"]) == ("failed", 1, 2)

    def test_all_problems_are_told_with_their_clip(self, server: RunningServer) -> None:
        many = [{"text": "fine"}] * 50 + [{"text": ""}] * 200 + [{"text": "a", "voice": "x", "reference_audio": "y"}]
        answer = post(server, {"clips": many})
        error = answer.json()["error"]
        assert answer.status_code == 400
        assert (error["param"], error["code"]) == ("clips.50.text", "no_speech")
        assert "clips.51: text" in error["message"]
        assert "181 more" in error["message"]
        assert len(error["message"]) < 4000

    @pytest.mark.parametrize(
        ("body", "param", "code"),
        [
            ({"clips": []}, "clips", "invalid_value"),
            ({"clips": [{"text": "a"}] * 10_001}, "clips", "invalid_value"),
            ({"clips": [{"text": "a", "speed": 2}]}, "clips.0.speed", "unknown_parameter"),
            ({"clips": [{"text": "a"}, {}]}, "clips.1.text", "missing_parameter"),
            ({"clips": [{"text": "a"}], "text": "b"}, "text", "conflicting_parameters"),
            ({"clips": "a"}, "clips", "invalid_value"),
            ({}, "text", "missing_parameter"),
            ({"text": "a", "voice": "nobody"}, "voice", "voice_not_found"),
            ({"clips": [{"text": "a", "voice": "nobody"}]}, "clips.0.voice", "voice_not_found"),
            ({"text": "a", "reference_audio": "!"}, "reference_audio", "not_base64"),
            ({"text": "a", "language": "sw"}, "language", "language_unsupported"),
            ({"clips": [{"text": "a"}, {"text": "a", "language": "sw"}]}, "clips.1.language", "language_unsupported"),
        ],
    )
    def test_what_is_refused(self, server: RunningServer, body: object, param: str, code: str) -> None:
        answer = post(server, body)
        assert answer.status_code in (400, 404), answer.text
        assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)

    def test_ten_thousand_clips_are_accepted(self, server: RunningServer) -> None:
        answer = post(server, {"clips": [{"text": f"{number}"} for number in range(10_000)]})
        assert answer.status_code == 202
        with server.client() as client:
            cancelled = client.delete(answer.headers["location"]).json()
        assert cancelled["status"] == "cancelled"
        progress = cancelled["progress"]
        assert progress["succeeded"] + progress["cancelled"] == 10_000


class TestIdempotency:
    def test_a_repetition_is_the_same_job(self, server: RunningServer) -> None:
        first = post(server, {"text": "once only, please"}, **{"Idempotency-Key": "key-1"})
        again = post(server, {"text": "once only, please"}, **{"Idempotency-Key": "key-1"})
        assert again.status_code == 202
        assert again.json()["id"] == first.json()["id"]
        assert again.headers["idempotent-replayed"] == "true"
        ended(server, first.json()["id"])
        assert len(server.called("once only, please")) == 1

    def test_another_order_under_the_same_key_is_refused(self, server: RunningServer) -> None:
        post(server, {"text": "one thing"}, **{"Idempotency-Key": "key-2"})
        answer = post(server, {"text": "another thing"}, **{"Idempotency-Key": "key-2"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency_key_reused")

    def test_keys_are_each_clients_own(self, server: RunningServer) -> None:
        mine = post(server, {"text": "mine"}, **{"Idempotency-Key": "key-3"})
        yours = post(server, {"text": "yours"}, OTHER_KEY, **{"Idempotency-Key": "key-3"})
        assert yours.status_code == 202
        assert yours.json()["id"] != mine.json()["id"]

    def test_a_refused_order_does_not_take_the_key(self, server: RunningServer) -> None:
        assert post(server, {"text": ""}, **{"Idempotency-Key": "key-4"}).status_code == 400
        assert post(server, {"text": "better"}, **{"Idempotency-Key": "key-4"}).status_code == 202


class TestOthersJobs:
    def test_they_look_like_none(self, server: RunningServer) -> None:
        job = post(server, {"text": "private"}).json()["id"]
        with server.client(OTHER_KEY) as other:
            answers = [
                other.get(f"/v1/jobs/{job}"),
                other.get(f"/v1/jobs/{job}/clips"),
                other.delete(f"/v1/jobs/{job}"),
            ]
            listed = other.get("/v1/jobs?limit=100").json()["data"]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert {answer.json()["error"]["code"] for answer in answers} == {"job_not_found"}
        assert job not in [found["id"] for found in listed]

    @pytest.mark.parametrize(
        "job", ["job_none", "..%2f..%2fkeys", "job_" + "0" * 26, "%00", "dead-letters%2e", "A" * 5000]
    )
    def test_what_names_no_job(self, server: RunningServer, job: str) -> None:
        answer = get(server, f"/v1/jobs/{job}")
        assert answer.status_code in (400, 404)
        assert answer.headers["content-type"] == "application/json"

    def test_dead_letters_are_for_administrators(self, server: RunningServer) -> None:
        assert get(server, "/v1/jobs/dead-letters").status_code == 403
        assert get(server, "/v1/jobs/dead-letters", ADMIN_KEY).json()["data"] == []
        with server.client() as client:
            assert client.post("/v1/jobs/dead-letters/redrive", json={}).status_code == 403


class TestListing:
    def test_pages_are_the_newest_first_and_complete(self, server: RunningServer) -> None:
        made = [post(server, {"text": f"listed {number}"}, ADMIN_KEY).json()["id"] for number in range(5)]
        found: list[str] = []
        after = ""
        while True:
            page = get(server, f"/v1/jobs?limit=2{after}", ADMIN_KEY).json()
            found += [job["id"] for job in page["data"]]
            if not page["has_more"]:
                break
            after = f"&after={found[-1]}"
        assert found == made[::-1]

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "after=x"])
    def test_a_wrong_query(self, server: RunningServer, query: str) -> None:
        assert get(server, f"/v1/jobs?{query}").status_code == 400


class TestCancelling:
    def test_what_was_not_spoken_never_is(self, server: RunningServer) -> None:
        body = {"clips": [{"text": "before"}, {"text": "gate cancelled"}] + [{"text": f"after {n}"} for n in range(30)]}
        job = post(server, body).json()["id"]
        until(lambda: server.called("gate cancelled"))
        with server.client() as client:
            cancelled = client.delete(f"/v1/jobs/{job}").json()
        assert cancelled["status"] == "cancelled"
        server.open_gate("cancelled")
        marker = post(server, {"text": "the marker behind it"}).json()["id"]
        ended(server, marker)
        after = get(server, f"/v1/jobs/{job}").json()
        assert after == cancelled
        assert not server.called("after 29")

    def test_a_job_that_has_ended_stays_as_it_is(self, server: RunningServer) -> None:
        job = post(server, {"text": "soon over"}).json()["id"]
        before = ended(server, job)
        with server.client() as client:
            after = client.delete(f"/v1/jobs/{job}").json()
        assert (after["status"], after["finished_at"]) == ("succeeded", before["finished_at"])


class TestWithout:
    @pytest.mark.parametrize(("settings", "code"), [({"queue": ""}, "no_queue"), ({"store": ""}, "no_store")])
    def test_the_remedy_is_told(self, tmp_path: Any, settings: dict[str, str], code: str) -> None:
        server = start(tmp_path, **settings)
        try:
            answer = post(server, {"text": "nowhere to go"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, code)
            assert "SPEECH_" in answer.json()["error"]["message"]
            assert server.generate("still speaks").status_code == 200
        finally:
            server.kill()
