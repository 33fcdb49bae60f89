"""A store of every kind, each on the real thing or on a stand-in that verifies signatures."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest

from speech_server.storage.open_store import open_store
from speech_server.storage.store import Store
from tests.emulator.conftest import REGION, emulator  # noqa: F401 - a fixture
from tests.inference.storage.oss_server import OssBucket, oss_server

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
KEY_ID, KEY_SECRET = "LTAI-of-a-test", "secret-of-a-test"


@pytest.fixture
def run() -> Iterator[Run[Any]]:
    """Awaits something in one loop for the whole test."""
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.close()


@pytest.fixture
def oss() -> Iterator[OssBucket]:
    with oss_server(OssBucket(keys={KEY_ID: (KEY_SECRET, None)}, page_size=3)) as bucket:
        yield bucket


@pytest.fixture
def oss_url(oss: OssBucket, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", KEY_SECRET)
    return f"oss://{oss.name}?region={oss.region}&endpoint={oss.url}"


@pytest.fixture
def s3_url(emulator: str, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: F811 - the fixture
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "root")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "root")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    client = boto3.client("s3", region_name=REGION, endpoint_url=emulator)
    bucket = f"speech-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.close()
    return f"s3://{bucket}?region={REGION}&endpoint={emulator}"


@pytest.fixture(params=["file", "s3", "oss"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = (
        (tmp_path / "objects").as_uri() if request.param == "file" else request.getfixturevalue(f"{request.param}_url")
    )
    made = open_store(url, "http://speech.test")
    yield made
    made.close()
