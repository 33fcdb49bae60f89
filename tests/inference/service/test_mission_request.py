"""The request that the service was made for, word for word: at once, as a job, in a batch, and with a stored voice."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import soundfile

from tests.inference.server.running_server import RunningServer
from tests.inference.server.strict_engine import SAMPLE_RATE, SECONDS_PER_CHARACTER
from tests.inference.server.test_jobs import clips, ended, pitch, post, sound, start
from tests.inference.service.tenants import CONSENT, SOURCE, VOICES
from tests.inference.voices.speech import speech_file

SPOKEN = "你为什么yao4 zhe4yang4做?"
SECONDS = len(SPOKEN) * SECONDS_PER_CHARACTER / 1.1


def request(**voice: str) -> dict[str, Any]:
    return {
        "text": "你为什么要这样做?",
        "text_with_pinyin": "你为什么yào zhèyàng做?",
        **voice,
        "emotion_control": {"type": "text_desc", "description": "愤怒地质问", "intensity": 0.8},
        "duration_ratio": 1.1,
        "mode": "controlled",
    }


def with_sample() -> dict[str, Any]:
    return request(reference_audio=base64.b64encode(speech_file()).decode())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = start(tmp_path_factory.mktemp("mission"))
    yield running
    running.kill()


@pytest.fixture(scope="module")
def at_once(server: RunningServer) -> httpx.Response:
    with server.client() as client:
        answer = client.post("/generate", json=with_sample())
    assert answer.status_code == 200, answer.text
    return answer


def is_the_clip(content: bytes, at_once: httpx.Response) -> None:
    """The same length and the same voice as at once, sample for sample: the engine speaks both alike."""
    assert content == at_once.content


class TestMissionRequest:
    def test_at_once(self, server: RunningServer, at_once: httpx.Response) -> None:
        samples, rate = soundfile.read(io.BytesIO(at_once.content))
        assert rate == SAMPLE_RATE
        assert samples.size / rate == pytest.approx(SECONDS, abs=0.001)
        assert float(at_once.headers["x-audio-seconds"]) == pytest.approx(SECONDS, abs=0.001)
        assert "emotion_unsupported" in at_once.headers["x-speech-warnings"]  # this engine's honest answer
        assert server.called(SPOKEN)

    def test_as_a_job(self, server: RunningServer, at_once: httpx.Response) -> None:
        job = post(server, with_sample())
        assert job.status_code == 202, job.text
        done = ended(server, job.json()["id"])
        (clip,) = done["clips"]
        assert (done["status"], clip["audio_seconds"]) == ("succeeded", pytest.approx(SECONDS, abs=0.001))
        assert "emotion_unsupported" in clip["warnings"]
        with server.client(None) as client:
            is_the_clip(client.get(clip["url"]).content, at_once)

    def test_in_a_batch(self, server: RunningServer, at_once: httpx.Response) -> None:
        job = post(server, {"clips": [with_sample(), {**with_sample(), "mode": "free", "duration_ratio": None}]})
        assert job.status_code == 202, job.text
        assert ended(server, job.json()["id"])["status"] == "succeeded"
        first, second = clips(server, job.json()["id"])
        with server.client(None) as client:
            is_the_clip(client.get(first["url"]).content, at_once)
        assert second["audio_seconds"] == pytest.approx(SECONDS * 1.1, abs=0.001)

    def test_with_a_stored_voice(self, server: RunningServer, at_once: httpx.Response) -> None:
        with server.client() as client:
            form = {"name": "主播", "consent": CONSENT, "source": SOURCE}
            added = client.post(VOICES, data=form, files={"audio_sample": ("a.wav", speech_file())})
            assert added.status_code == 200, added.text
            spoken = client.post("/generate", json=request(voice="主播"))
        assert spoken.status_code == 200, spoken.text
        is_the_clip(spoken.content, at_once)  # the same recording is the same voice, however it comes
        job = post(server, request(voice="主播"))
        assert ended(server, job.json()["id"])["status"] == "succeeded"
        (clip,) = clips(server, job.json()["id"])
        samples, rate = sound(server, clip)
        there, _ = soundfile.read(io.BytesIO(at_once.content))
        assert pitch(samples, rate) == pitch(there, rate)
