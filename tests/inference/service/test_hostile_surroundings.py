"""A queue that delivers everything twice, a store that fails half the time, clocks that are wrong: whole servers."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from speech_server.tenants.webhook_secret import derived_secret
from tests.inference.notify.receiver import Receiver
from tests.inference.server.running_server import KEY, ROOT, RunningServer, until
from tests.inference.server.test_jobs import clips, ended, get, post, start
from tests.inference.service.identity_engine import ENGINE, digest_of, heard
from tests.inference.service.tenants import CONSENT, SOURCE, VOICES
from tests.inference.storage.oss_server import OssBucket, oss_server
from tests.inference.voices.speech import speech_file

Start = Callable[..., RunningServer]


@pytest.fixture
def replicas(tmp_path: Path) -> Generator[Start]:
    """Starts servers with one queue and, if none is given, one store; `clock`: seconds by which theirs is wrong."""
    started: list[RunningServer] = []

    def one(name: str, clock: float = 0.0, **settings: object) -> RunningServer:
        folder = tmp_path / name
        folder.mkdir()
        shared = {
            "engine": ENGINE,
            "store": f"file://{tmp_path / 'store'}",
            "queue": f"sqlite:///{tmp_path / 'queue.sqlite'}",
            "webhook_loopback": "true",
        }
        wrapper = with_clock(tmp_path, clock) if clock else ()
        started.append(start(folder, wrapper=wrapper, **{**shared, **settings}))
        return started[-1]

    yield one
    for server in started:
        server.kill()


def with_clock(folder: Path, seconds: float) -> tuple[str, ...]:
    """The beginning of a command whose Python has a clock that is `seconds` ahead of ours."""
    place = folder / f"clock{seconds:+.0f}"
    place.mkdir()
    (place / "sitecustomize.py").write_text(_WRONG_CLOCK.format(seconds=seconds))
    path = f"{place}:{ROOT / 'inference'}:{ROOT}"
    wrapper = ("env", f"PYTHONPATH={path}")
    said = subprocess.run([*wrapper, sys.executable, "-c", "import time; print(time.time())"], capture_output=True)
    assert float(said.stdout) - time.time() == pytest.approx(seconds, abs=10)
    return wrapper


_WRONG_CLOCK = """
import datetime, time
_time, _datetime = time.time, datetime.datetime
time.time = lambda: _time() + {seconds}
time.time_ns = lambda: int(time.time() * 1e9)
class Wrong(_datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)
datetime.datetime = Wrong
"""


def deliver_twice(queue: Path) -> None:
    """From now on every message that is sent is in the queue a second time."""
    with sqlite3.connect(queue, timeout=10) as file:
        file.execute(
            "CREATE TRIGGER twice AFTER INSERT ON messages BEGIN "
            "INSERT INTO messages (body, sent_at, visible_at) VALUES (new.body, new.sent_at, new.visible_at); END"
        )
    file.close()


def job_sounds(server: RunningServer, job: str) -> list[tuple[str, str]]:
    """What is heard in the job's clips; the links lead to the first server that has the store."""
    found = []
    for clip in clips(server, job):
        assert clip["status"] == "succeeded", clip
        with server.client(None) as client:
            answer = client.get(clip["url"])
        assert answer.status_code == 200, answer.text
        found.append(heard(answer.content))
    return found


def said_by(voice: str, texts: list[str]) -> list[tuple[str, str]]:
    return [(digest_of(voice.encode()), digest_of(text.encode())) for text in texts]


class TestQueueThatDeliversTwice:
    def test_every_clip_has_one_result_and_every_end_is_one_event(self, replicas: Start, tmp_path: Path) -> None:
        texts = [f"clip {number}" for number in range(150)]
        with Receiver() as receiver:
            servers = [replicas("a"), replicas("b")]
            deliver_twice(tmp_path / "queue.sqlite")
            batch = post(servers[0], {"voice": "low", "clips": [{"text": text} for text in texts]}).json()["id"]
            singles = {
                post(servers[1], {"text": text, "webhook": receiver.url}).json()["id"]: text for text in texts[:20]
            }
            done = ended(servers[1], batch)
            assert done["progress"]["succeeded"] == done["progress"]["total"] == 150
            assert job_sounds(servers[1], batch) == said_by("low", texts)
            for job, text in singles.items():
                assert ended(servers[0], job)["status"] == "succeeded"
                assert job_sounds(servers[0], job) == said_by("default", [text])
            until(lambda: {headers["webhook-id"].rpartition("-")[0] for headers, _ in receiver.calls} == set(singles))
            ids = {headers["webhook-id"] for headers, _ in receiver.calls}
            assert len(ids) == len(singles)
        results = [path for path in (tmp_path / "store" / "results").rglob("*") if path.is_file()]
        assert len(results) == 170
        assert not [line for server in servers for line in server.log() if line["level"] == "error"]


class TestStoreThatFailsHalfTheTime:
    def test_what_was_accepted_is_done_once_and_what_was_refused_is_not(
        self, replicas: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
        with oss_server(OssBucket(keys={"id": ("secret", None)})) as oss:
            server = replicas("a", store=f"oss://{oss.name}?region={oss.region}&endpoint={oss.url}")
            oss.failing_share = 0.5
            accepted: dict[str, str] = {}
            refused = 0
            for number in range(12):
                text = f"job {number}"
                while (
                    answer := post(server, {"text": text}, **{"Idempotency-Key": f"key-{number}"})
                ).status_code != 202:
                    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
                    assert 1 <= int(answer.headers["retry-after"]) <= 120
                    refused += 1
                accepted[answer.json()["id"]] = text
                assert server.generate(f"meanwhile {number}").status_code == 200
            oss.failing_share = 0.3  # the store gets better, and is not well yet
            until(lambda: _all_done(server, accepted), 90)
            oss.failing_share = 0.0
            listed = until(lambda: _page(server), 30)
            assert {job["id"] for job in listed} == set(accepted)
            for job, text in accepted.items():
                (clip,) = clips(server, job)
                assert heard(oss.objects[clip["key"]].data) == said_by("default", [text])[0]
            results = [key for key in oss.objects if key.startswith("results/")]
            assert len(results) == len(accepted)
            assert oss.refusals == []
            assert not server.log("request_failed")
            assert not server.log("job_message_failed")


def _page(server: RunningServer) -> list[dict[str, Any]] | None:
    answer = get(server, "/v1/jobs?limit=100")
    return answer.json()["data"] if answer.status_code == 200 else None


def _all_done(server: RunningServer, jobs: dict[str, str]) -> bool:
    answers = [get(server, f"/v1/jobs/{job}") for job in jobs]
    return all(answer.status_code == 200 and answer.json()["status"] == "succeeded" for answer in answers)


class TestWrongClocks:
    @pytest.mark.parametrize("seconds", [-7200.0, 7200.0])
    def test_a_server_of_another_time_does_all_of_its_work(self, replicas: Start, seconds: float) -> None:
        with Receiver() as receiver:
            server = replicas("a", clock=seconds)
            assert server.generate("hello").status_code == 200
            job = post(server, {"text": "hello", "webhook": receiver.url}).json()["id"]
            done = ended(server, job)
            assert done["created_at"] == pytest.approx(time.time() + seconds, abs=120)
            assert job_sounds(server, job) == said_by("default", ["hello"])
            until(lambda: receiver.calls)
        headers, body = receiver.calls[0]
        # Whoever checks it holds clocks to five minutes: a signature of another time is one to refuse.
        with pytest.raises(Exception, match="timestamp"):
            Webhook(derived_secret(KEY)).verify(body, headers)

    def test_servers_whose_clocks_differ_share_voices_and_jobs(self, replicas: Start) -> None:
        ahead, right = replicas("ahead", clock=600.0), replicas("right")
        form = {"name": "host", "consent": CONSENT, "source": SOURCE}
        with ahead.client() as client:
            voice = client.post(VOICES, data=form, files={"audio_sample": ("a.wav", speech_file())}).json()
        assert heard(right.generate("here", voice="host").content)[0] == voice["sha256"][:16]
        jobs = {post(server, {"text": "shared", "voice": "host"}).json()["id"] for server in (ahead, right) * 5}
        for job in jobs:
            assert ended(right, job)["status"] == ended(ahead, job)["status"] == "succeeded"
            assert {digest for digest, _ in job_sounds(right, job)} == {voice["sha256"][:16]}
        with right.client() as client:
            assert client.delete(f"{VOICES}/host").status_code == 200
        until(lambda: ahead.generate("gone", voice="host", seed=1).status_code == 404, 60)

    def test_a_store_that_refuses_the_clock_is_an_outage_and_no_fault(
        self, replicas: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
        with oss_server(OssBucket(keys={"id": ("secret", None)})) as oss:
            store = f"oss://{oss.name}?region={oss.region}&endpoint={oss.url}"
            server = replicas("a", store=store)
            # As seen from the store, whose time is another one, every signature is of another time.
            monkeypatch.setattr("tests.inference.storage.oss_server._SKEW", timedelta(days=-1))
            _is_an_outage(post(server, {"text": "hello"}))
            _is_an_outage(get(server, VOICES))
            assert server.generate("hello").status_code == 200
            assert not [key for key in oss.objects if key.startswith("jobs/first/")]
            assert {refusal.rpartition(" ")[2] for refusal in oss.refusals} == {"RequestTimeTooSkewed"}
            monkeypatch.undo()
            accepted = until(lambda: _accepted(server), 30)
            assert ended(server, accepted)["status"] == "succeeded"


def _accepted(server: RunningServer) -> str | None:
    answer = post(server, {"text": "hello"})
    return answer.json()["id"] if answer.status_code == 202 else None


def _is_an_outage(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
    assert "secret" not in answer.text
