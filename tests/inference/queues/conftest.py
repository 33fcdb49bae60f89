"""The three queues, each as real as it can be here: a file, an emulator in a process of its own, a strict stand-in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from speech_server.queues.base import Queue
from speech_server.queues.cloud_name import CloudName, cloud_name
from speech_server.queues.smq import SmqQueue
from speech_server.queues.sqlite import SqliteQueue
from speech_server.queues.sqs import SqsQueue
from speech_server.storage.alibaba_credentials import AccessKey
from tests.inference.queues.strict_smq import KEY_ID, KEY_SECRET, StrictSmq
from tests.inference.server.running_server import until

REGION = "us-west-2"
ACCOUNT = "123456789012"  # the emulator's only one


async def smq_key() -> AccessKey:
    return AccessKey(KEY_ID, KEY_SECRET, None, None)


@dataclass
class Moto:
    url: str

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION, endpoint_url=self.url)


@pytest.fixture(scope="session")
def aws_credentials() -> Generator[None]:
    names = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def moto(aws_credentials: None) -> Generator[Moto]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.inference.queues.aws_emulator", "-H", "127.0.0.1", "-p", str(port)]
    checkout = Path(__file__).resolve().parents[3]
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _listens(port), 60)
            yield Moto(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def smq() -> Generator[StrictSmq]:
    with StrictSmq() as server:
        yield server


@pytest.fixture
def sqs_name(moto: Moto) -> CloudName:
    """A queue with a dead-letter queue, as a stack makes them."""
    client, name = moto.client("sqs"), f"jobs-{uuid.uuid4().hex[:12]}"
    client.create_queue(QueueName=f"{name}-dead")
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}-dead", "maxReceiveCount": 3}
    client.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "300"})
    client.close()
    return cloud_name(f"sqs://{REGION}/{ACCOUNT}/{name}?endpoint={moto.url}", ("sqs",))


@pytest.fixture(params=["sqlite", "sqs", "smq"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Queue:
    """Open; the test closes it."""
    if request.param == "sqlite":
        return SqliteQueue(tmp_path / "queue.sqlite")
    if request.param == "sqs":
        return SqsQueue(request.getfixturevalue("sqs_name"))
    url = f"smq://cn-hangzhou/1234/jobs?dead=dead&endpoint={request.getfixturevalue('smq').url}"
    return SmqQueue(cloud_name(url, ("smq",)), smq_key)
