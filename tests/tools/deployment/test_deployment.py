from __future__ import annotations

import math
import os
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tools.conftest import Script
from tools.checkout import Checkout
from tools.deployment import rollout, smoke
from tools.deployment.decision import decide
from tools.deployment.deploy import fleet_urns

OLD, NEW = f"registry/speech@sha256:{'a' * 64}", f"registry/speech@sha256:{'b' * 64}"


class TestDecide:
    def test_what_speaks_stays(self) -> None:
        assert decide(OLD, NEW, None).step == "keep"

    def test_another_image_that_does_not_speak_goes_back(self) -> None:
        verdict = decide(OLD, NEW, "it is silent")
        assert (verdict.step, verdict.image) == ("back", OLD)
        assert "it is silent" in verdict.reason

    @pytest.mark.parametrize(("before", "after"), [(None, NEW), (OLD, OLD), ("speech:latest", NEW), (7, NEW)])
    def test_where_there_is_no_way_back_it_stops(self, before: object, after: object) -> None:
        verdict = decide(before, after, "it is silent")
        assert (verdict.step, verdict.image) == ("stop", None)


class TestFleetUrns:
    def test_the_component_and_what_is_under_it(self) -> None:
        head = "urn:pulumi:prod::indextts2::indextts2:service:SpeechService"
        urns = [
            f"{head}$indextts2:aws:GpuFleet::speech",
            f"{head}$indextts2:aws:GpuFleet$aws:autoscaling/group:Group::speech-nodes",
            f"{head}$indextts2:aws:ServerImage$aws:ecr/repository:Repository::speech-server",
        ]
        assert fleet_urns([{"urn": urn} for urn in urns]) == urns[:2]


class Refreshes:
    """boto3's client as far as it is asked, giving these answers one after another."""

    def __init__(self, *statuses: str) -> None:
        self.answers = [[{"Status": status, "StatusReason": "why"}] if status else [] for status in statuses]

    def describe_instance_refreshes(self, **arguments: Any) -> dict[str, Any]:
        assert arguments == {"AutoScalingGroupName": "fleet", "MaxRecords": 1}
        return {"InstanceRefreshes": self.answers.pop(0)}


class TestWaitAws:
    @pytest.mark.parametrize(
        ("statuses", "failure"),
        [
            (("",), None),
            (("Pending", "InProgress", "Successful"), None),
            (("InProgress", "Failed"), "Failed: why"),
            (("RollbackInProgress", "RollbackSuccessful"), "RollbackSuccessful: why"),
            (("Cancelled",), "Cancelled: why"),
        ],
    )
    def test_until_it_is_over(self, statuses: tuple[str, ...], failure: str | None) -> None:
        waited: list[float] = []
        found = rollout.wait_aws(Refreshes(*statuses), "fleet", tell=lambda _: None, sleep=waited.append)
        assert (found or "").endswith(failure or "")
        assert bool(found) == bool(failure)
        assert len(waited) == len(statuses) - 1

    def test_not_for_ever(self) -> None:
        times = iter((0.0, 1.0, rollout.SECONDS + 1.0))
        found = rollout.wait_aws(
            Refreshes("InProgress", "InProgress"), "fleet", lambda _: None, lambda _: None, lambda: next(times)
        )
        assert found
        assert "60 minutes" in found


def wav(path: Path, seconds: float, level: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        samples = (int(32767 * level * math.sin(at / 5)) for at in range(int(8000 * seconds)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


class TestSmoke:
    @pytest.fixture
    def say(self, checkout: Checkout, script: Script) -> Callable[[str], Checkout]:
        def make(body: str) -> Checkout:
            script(checkout.venv / "bin" / "indextts2", body)
            return checkout

        return make

    ENVIRONMENT = {**os.environ, "INDEXTTS2_API_KEY": "a-key-of-this-test"}  # noqa: RUF012 (never changed)

    def test_speech_passes_and_the_key_is_in_no_argument(self, say: Callable, tmp_path: Path) -> None:
        spoken = wav(tmp_path / "spoken.wav", 1, 0.3)
        checkout = say(
            f'test "$INDEXTTS2_URL" = https://x || exit 3\ncase "$*" in *a-key*) exit 4;; esac\n'
            f'while [ "$1" != -o ]; do shift; done\ncp "{spoken}" "$2"'
        )
        assert smoke.speak(checkout, "https://x", self.ENVIRONMENT) is None

    def test_a_failure_says_what_the_service_said(self, say: Callable) -> None:
        checkout = say("echo 'error: 401 who are you' >&2; exit 1")
        assert smoke.speak(checkout, "https://x", self.ENVIRONMENT) == "error: 401 who are you"

    def test_no_answer_in_time(self, say: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(smoke, "SECONDS", 0.2)
        assert "did not answer" in (smoke.speak(say("exec sleep 60"), "https://x", self.ENVIRONMENT) or "")

    def test_without_a_key_nothing_is_proved(self, checkout: Checkout) -> None:
        assert "INDEXTTS2_API_KEY is not set" in (smoke.speak(checkout, "https://x", {}) or "")

    @pytest.mark.parametrize(("seconds", "level", "problem"), [(1, 0.0, "silence"), (0.2, 0.3, "too short")])
    def test_what_is_no_speech(self, tmp_path: Path, seconds: float, level: float, problem: str) -> None:
        assert problem in (smoke.problem(wav(tmp_path / "x.wav", seconds, level)) or "")

    def test_what_is_no_sound(self, tmp_path: Path) -> None:
        (tmp_path / "x.wav").write_bytes(b"<html>")
        assert "no WAV file" in (smoke.problem(tmp_path / "x.wav") or "")
