"""Jobs while servers die, drain, and lose their queue or their store: real processes, real signals."""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from standardwebhooks.webhooks import Webhook

from speech_server.tenants.webhook_secret import derived_secret
from tests.inference.notify.receiver import Receiver
from tests.inference.server.running_server import KEY, RunningServer, until
from tests.inference.server.test_jobs import ADMIN_KEY, clips, ended, get, post, start

Start = Callable[..., RunningServer]


@pytest.fixture
def two(tmp_path: Path) -> Generator[Start]:
    """Starts servers with one store and one queue; each has a folder of its own for the rest."""
    started: list[RunningServer] = []

    def one(name: str, **settings: object) -> RunningServer:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "s.sock").unlink(missing_ok=True)  # what a killed server left
        (tmp_path / "store").mkdir(exist_ok=True)
        shared = {"store": f"file://{tmp_path / 'store'}", "queue": f"sqlite:///{tmp_path / 'queue.sqlite'}"}
        started.append(start(folder, **{**shared, **settings}))
        return started[-1]

    yield one
    for server in started:
        server.kill()


def results(folder: Path) -> list[Path]:
    return [path for path in (folder / "store" / "results").rglob("*") if path.is_file()]


class TestServersThatEnd:
    def test_a_killed_servers_job_finishes_elsewhere(self, two: Start, tmp_path: Path) -> None:
        first = two("a")
        job = post(first, {"text": "gate open"}).json()["id"]
        until(lambda: first.called("gate open"))
        second = two("b")
        second.open_gate("open")
        first.kill()
        assert ended(second, job)["status"] == "succeeded"
        assert len(second.called("gate open")) == 1
        assert len(results(tmp_path)) == 1

    def test_a_drained_server_gives_its_job_back_at_once(self, two: Start) -> None:
        first = two("a", job_lease_seconds=600)
        job = post(first, {"text": "gate open"}).json()["id"]
        until(lambda: first.called("gate open"))
        second = two("b", job_lease_seconds=600)
        second.open_gate("open")
        first.terminate()
        assert ended(second, job)["status"] == "succeeded"
        assert first.process.wait(60) == 0

    def test_a_restart_loses_nothing(self, two: Start) -> None:
        first = two("a")
        first.engine_process().suspend()
        jobs = [post(first, {"text": f"number {number}"}).json()["id"] for number in range(40)]
        first.kill()
        second = two("a")
        assert {ended(second, job)["status"] for job in jobs} == {"succeeded"}

    def test_under_random_kills_every_job_ends_once_with_its_own_sound(self, two: Start, tmp_path: Path) -> None:
        chance = random.Random(7)
        servers = {name: two(name) for name in ("a", "b")}
        jobs = {}
        for number in range(30):
            text = f"job {'y' * (number % 9)} {number}"
            jobs[post(servers["a"], {"text": text, "voice": "low"}).json()["id"]] = [text]
        batch = [f"clip {'z' * (number % 9)} {number}" for number in range(130)]
        jobs[post(servers["a"], {"clips": [{"text": text} for text in batch]}).json()["id"]] = batch
        for _ in range(4):
            name = chance.choice(["a", "b"])
            servers[name].kill()
            servers[name] = two(name)
            with contextlib.suppress(psutil.NoSuchProcess):  # it is being restarted already
                servers[chance.choice(["a", "b"])].engine_process().kill()
        until(servers["a"].is_ready, 60)
        for job, texts in jobs.items():
            done = ended(servers["a"], job)
            assert (done["status"], done["progress"]["succeeded"]) == ("succeeded", len(texts)), done
            for clip, text in zip(clips(servers["a"], job), texts, strict=True):
                assert clip["audio_seconds"] == pytest.approx(0.05 * len(text), abs=0.01)
        assert len(results(tmp_path)) == sum(map(len, jobs.values()))


class TestDeadLetters:
    def test_what_the_engine_fails_on_three_times_is_listed_and_driven_again(self, two: Start) -> None:
        server = two("a")
        batch = post(server, {"clips": [{"text": "fine"}, {"text": "sick words"}]}).json()["id"]
        # The waits between tries are skipped: the queue's clock is this file's to change.
        until(lambda: _hurry(server) or get(server, f"/v1/jobs/{batch}").json()["status"] == "failed", 120)
        failed = clips(server, batch)[1]
        assert failed["error"]["code"] == "engine_failed"
        letters = until(lambda: get(server, "/v1/jobs/dead-letters", ADMIN_KEY).json()["data"])
        assert [(letter["job"], letter["clip"], letter["what"]) for letter in letters] == [(batch, 1, "clip")]
        server.open_gate("healed")
        with server.client(ADMIN_KEY) as client:
            answer = client.post("/v1/jobs/dead-letters/redrive", json={"ids": [letters[0]["id"]]})
        assert answer.json() == {"redriven": 1}
        until(lambda: get(server, f"/v1/jobs/{batch}").json()["status"] == "succeeded")
        assert [clip["status"] for clip in clips(server, batch)] == ["succeeded", "succeeded"]
        assert get(server, "/v1/jobs/dead-letters", ADMIN_KEY).json()["data"] == []


def _hurry(server: RunningServer) -> None:
    """Let every delayed message of the queue come now."""
    path = server.folder.parent / "queue.sqlite"
    with sqlite3.connect(path, timeout=10) as file:
        file.execute("UPDATE messages SET visible_at = 0 WHERE receipt IS NULL")
    file.close()


class TestOutages:
    def test_without_its_store_the_service_speaks_and_jobs_wait(self, two: Start, tmp_path: Path) -> None:
        server = two("a")
        accepted = post(server, {"text": "gate later"}).json()["id"]
        until(lambda: server.called("gate later"))
        store, away = tmp_path / "store", tmp_path / "away"
        store.rename(away)
        store.write_text("no folder")
        server.open_gate("later")
        answer = post(server, {"text": "refused for now"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
        assert answer.headers["retry-after"]
        assert server.generate("still here").status_code == 200
        store.unlink()
        away.rename(store)
        assert ended(server, accepted)["status"] == "succeeded"
        assert not server.called("refused for now")

    def test_without_its_queue_nothing_is_accepted_and_nothing_refused_is_spoken(
        self, two: Start, tmp_path: Path
    ) -> None:
        server = two("a")
        file = tmp_path / "queue.sqlite"
        until(file.exists)
        for end in ("", "-wal", "-shm"):
            if Path(f"{file}{end}").exists():
                shutil.move(f"{file}{end}", f"{file}.away{end}")
        file.mkdir()
        answer = post(server, {"text": "refused without a queue"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue_unavailable")
        assert server.generate("still here").status_code == 200
        until(lambda: server.log("queue_unavailable"))
        file.rmdir()
        for end in ("", "-wal", "-shm"):
            if Path(f"{file}.away{end}").exists():
                shutil.move(f"{file}.away{end}", f"{file}{end}")
        accepted = until(lambda: _accepted(server))
        assert ended(server, accepted)["status"] == "succeeded"
        assert not server.called("refused without a queue")
        assert [job["id"] for job in get(server, "/v1/jobs").json()["data"]] == [accepted]


def _accepted(server: RunningServer) -> str | None:
    answer = post(server, {"text": "accepted again"})
    return answer.json()["id"] if answer.status_code == 202 else None


class TestWebhooks:
    def test_the_end_is_told_with_a_signature_that_the_clients_secret_verifies(self, two: Start) -> None:
        receiver = Receiver()
        with receiver:
            server = two("a", webhook_loopback="true")
            job = post(server, {"text": "tell me", "webhook": receiver.url}).json()["id"]
            until(lambda: receiver.calls)
        headers, body = receiver.calls[0]
        event = Webhook(derived_secret(KEY)).verify(body, headers)
        assert (event["type"], event["data"]["id"]) == ("job.succeeded", job)
        assert event["data"]["clips"][0]["url"]
        assert KEY not in str(headers)

    def test_without_the_setting_this_machine_is_not_called(self, two: Start) -> None:
        receiver = Receiver()
        with receiver:
            server = two("a")
            answer = post(server, {"text": "tell me", "webhook": receiver.url})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_webhook")
            # A name that leads here is found out when it is called.
            job = post(server, {"text": "tell me", "webhook": f"https://localhost:{receiver.port}/"}).json()["id"]
            ended(server, job)
            until(lambda: server.log("job_end_not_told"))
        assert receiver.calls == []
        assert "not of the public internet" in server.log("job_end_not_told")[0]["reason"]


class TestVoices:
    def test_a_voice_that_is_deleted_meanwhile_is_not_replaced_by_another(self, two: Start) -> None:
        server = two("a")
        with server.client() as client:
            form = {"name": "host", "consent": "She allowed it in her contract.", "source": "Our own studio."}
            added = client.post("/v1/audio/voices", data=form, files={"audio_sample": ("s.wav", voice_sample())})
            assert added.status_code == 200, added.text
            post(server, {"text": "gate open"})
            until(lambda: server.called("gate open"))
            batch = {"voice": "host", "clips": [{"text": f"as the host {number}"} for number in range(3)]}
            job = post(server, batch).json()["id"]
            assert client.delete("/v1/audio/voices/host").status_code == 200
        server.open_gate("open")
        done = ended(server, job)
        assert done["status"] == "failed"
        assert {clip["error"]["code"] for clip in clips(server, job)} == {"voice_not_found"}
        assert not server.called("as the host 0")


def voice_sample() -> bytes:
    """Three seconds that pass for somebody talking: syllables and pauses."""
    rate = 16_000
    time = np.arange(rate * 4) / rate
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, 1)
    tones = sum(np.sin(2 * np.pi * 140 * overtone * time) / overtone for overtone in range(1, 12))
    file = io.BytesIO()
    soundfile.write(file, 0.2 * syllables * tones, rate, format="WAV")
    return file.getvalue()
