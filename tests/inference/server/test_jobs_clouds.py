"""Whole jobs over the queues of the clouds, by two servers: SQS by an emulator, SMQ by the strict stand-in."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from speech_server.queues.cloud_name import CloudName
from tests.inference.queues.conftest import ACCOUNT, REGION, Moto, aws_credentials, moto, smq, sqs_name
from tests.inference.queues.strict_smq import KEY_ID, KEY_SECRET, StrictSmq
from tests.inference.server.running_server import RunningServer
from tests.inference.server.test_jobs import ended, post, start

__all__ = ["aws_credentials", "moto", "smq", "sqs_name"]


@pytest.fixture
def servers(tmp_path: Path) -> Generator[list[RunningServer]]:
    made: list[RunningServer] = []
    yield made
    for server in made:
        server.kill()


def two_servers(made: list[RunningServer], folder: Path, queue: str, **settings: object) -> list[RunningServer]:
    (folder / "store").mkdir()
    for name in ("a", "b"):
        (folder / name).mkdir()
        made.append(start(folder / name, store=f"file://{folder / 'store'}", queue=queue, **settings))
    return made


def speak_all(servers: list[RunningServer]) -> None:
    texts = [f"number {number}" for number in range(25)]
    batch = post(servers[0], {"clips": [{"text": text} for text in texts]}).json()["id"]
    single = post(servers[1], {"text": "a single one"}).json()["id"]
    assert ended(servers[1], batch)["progress"]["succeeded"] == 25
    assert ended(servers[0], single)["status"] == "succeeded"
    for text in [*texts, "a single one"]:
        assert sum(len(server.called(text)) for server in servers) == 1


class TestSqs:
    def test_jobs_are_shared_and_a_killed_servers_clip_comes_back(
        self, servers: list[RunningServer], tmp_path: Path, sqs_name: CloudName
    ) -> None:
        url = f"sqs://{REGION}/{ACCOUNT}/{sqs_name.name}?endpoint={sqs_name.endpoint}"
        first, second = two_servers(servers, tmp_path, url)
        speak_all([first, second])
        job = post(first, {"text": "gate open"}).json()["id"]
        holder = first
        while not (first.called("gate open") or second.called("gate open")):
            first.probe()
        holder, other = (first, second) if first.called("gate open") else (second, first)
        other.open_gate("open")
        holder.kill()
        assert ended(other, job)["status"] == "succeeded"

    def test_the_end_is_published(
        self, servers: list[RunningServer], tmp_path: Path, sqs_name: CloudName, moto: Moto
    ) -> None:
        sns, sqs = moto.client("sns"), moto.client("sqs")
        name = f"ended-{sqs_name.name}"
        topic = sns.create_topic(Name=name)["TopicArn"]
        listener = sqs.create_queue(QueueName=name)["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
        url = f"sqs://{REGION}/{ACCOUNT}/{sqs_name.name}?endpoint={moto.url}"
        topic_url = f"sns://{REGION}/{ACCOUNT}/{name}?endpoint={moto.url}"
        first, _ = two_servers(servers, tmp_path, url, topic=topic_url)
        job = post(first, {"text": "tell all"}).json()["id"]
        (message,) = sqs.receive_message(QueueUrl=listener, WaitTimeSeconds=20)["Messages"]
        event = json.loads(json.loads(message["Body"])["Message"])
        assert (event["type"], event["client"], event["data"]["id"]) == ("job.succeeded", "first", job)
        sns.close()
        sqs.close()


class TestSmq:
    def test_jobs_are_shared(
        self,
        servers: list[RunningServer],
        tmp_path: Path,
        smq: StrictSmq,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY_ID)
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", KEY_SECRET)
        url = f"smq://cn-hangzhou/1234/jobs?dead=dead&endpoint={smq.url}"
        topic = f"smq-topic://cn-hangzhou/1234/finished?endpoint={smq.url}"
        made = two_servers(servers, tmp_path, url, topic=topic)
        speak_all(made)
        # One that was put into the queue twice is refused by neither side.
        assert not [line for line in smq.requests if " 403" in line or " 400" in line]
        assert {tag for _, tag, _ in smq.published} <= {"succeeded"}
