"""AWS's interfaces as a process on this machine: moto, which says of itself that it is no AWS.

What it enforces is tested here, by real calls of the vendor's own client; what it only stores is not.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.engine.stack import free_port

Clients = Callable[..., Any]
REGION = "us-west-2"


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """Its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None, "moto ended before it listened"
        assert time.monotonic() < deadline, "moto did not listen"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture
def clients(emulator: str) -> Iterator[Clients]:
    """`clients("sqs")`: a client of an emptied account; `clients("sqs", KEY_ID, SECRET, TOKEN)`: somebody's in it."""
    post(f"{emulator}/moto-api/reset", b"")
    enforce(emulator, False)
    made = []

    def client(service: str, *signs: str) -> Any:
        key, secret, token = signs or ("root", "root", None)
        found = boto3.client(
            service,
            region_name=REGION,
            endpoint_url=emulator,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"max_attempts": 0}, proxies={}),
        )
        made.append(found)
        return found

    yield client
    enforce(emulator, False)
    for one in made:
        one.close()


def enforce(emulator: str, on: bool) -> None:
    """Whether calls are held against the caller's policies from now on."""
    post(f"{emulator}/moto-api/reset-auth", b"0" if on else b"1e9")


def post(url: str, body: bytes) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data=body, headers={"Content-Type": "text/plain"})) as answer:
        assert answer.status == 200
