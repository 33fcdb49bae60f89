"""Asking a store for the time and an instance for its role: stand-ins on loopback that answer as the vendors do."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest

from speech_server.node.clouds import cloud_facts, problems
from tests.inference.storage.metadata_server import Metadata, metadata_server
from tests.listening import listening

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
NOWHERE = {"HOME": "/nonexistent"}


@contextmanager
def store_at(minutes: float | None) -> Iterator[str]:
    """A store that refuses whoever does not sign, with its own time in the answer; None: without a time."""

    class Store(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

        def do_HEAD(self) -> None:
            self.send_response_only(403)
            if minutes is not None:
                now = datetime.now(timezone.utc) + timedelta(minutes=minutes)
                self.send_header("Date", format_datetime(now, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

    with listening(Store) as url:
        yield url


@contextmanager
def aws_metadata(role: str | None, refuses_tokens: bool = False) -> Iterator[str]:
    """IMDSv2: nothing without a token, which is asked for by PUT and with its time to live; 404 without a role.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    """

    class Imds(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

        def do_PUT(self) -> None:
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            good = self.path == "/latest/api/token" and seconds.isdigit() and 1 <= int(seconds) <= 21_600
            self._send(403 if refuses_tokens else 200 if good else 400, b"token==")

        def do_GET(self) -> None:
            if self.headers.get("X-aws-ec2-metadata-token") != "token==":
                self._send(401, b"")
            elif self.path != "/latest/meta-data/iam/security-credentials/" or role is None:
                self._send(404, b"")
            else:
                self._send(200, role.encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Imds) as url:
        yield url


@pytest.fixture
def closed_port() -> Generator[str]:
    """An address where nobody listens."""
    with store_at(0) as url:
        pass
    yield url


def told(store: str, environment: dict[str, str]) -> list[str]:
    facts = cloud_facts(store, environment)
    assert facts is not None
    return [problem.what for problem in problems(facts)]


class TestClock:
    def test_a_store_that_agrees(self) -> None:
        with store_at(0) as url:
            assert told(f"s3://bucket?region=us-west-2&endpoint={url}", KEYS) == []

    @pytest.mark.parametrize(("minutes", "how"), [(-61, "61 minutes ahead of"), (61, "61 minutes behind")])
    def test_a_clock_that_is_wrong_by_an_hour(self, minutes: float, how: str) -> None:
        with store_at(minutes) as url:
            (what,) = told(f"s3://bucket?region=us-west-2&endpoint={url}", KEYS)
        assert what.startswith(f"this machine's clock is {how} 127.0.0.1")

    def test_a_store_without_a_time(self) -> None:
        with store_at(None) as url:
            (what,) = told(f"s3://bucket?region=us-west-2&endpoint={url}", KEYS)
        assert what.startswith("127.0.0.1 does not answer (KeyError")

    def test_a_store_that_is_not_there(self, closed_port: str) -> None:
        (what,) = told(f"s3://bucket?region=us-west-2&endpoint={closed_port}", KEYS)
        assert what.startswith("127.0.0.1 does not answer (ConnectError")

    def test_a_folder_has_no_clock(self) -> None:
        assert cloud_facts("file:///tmp/store", {}) is None


class TestAwsRole:
    def test_there_is_one(self) -> None:
        with store_at(0) as store, aws_metadata("node") as imds:
            environment = {**NOWHERE, "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds}
            assert told(f"s3://bucket?region=us-west-2&endpoint={store}", environment) == []

    def test_there_is_none(self) -> None:
        with store_at(0) as store, aws_metadata(None) as imds:
            environment = {**NOWHERE, "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds}
            assert told(f"s3://bucket?region=us-west-2&endpoint={store}", environment) == ["the instance has no role"]

    def test_the_metadata_service_refuses(self) -> None:
        with store_at(0) as store, aws_metadata("node", refuses_tokens=True) as imds:
            environment = {**NOWHERE, "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds}
            (what,) = told(f"s3://bucket?region=us-west-2&endpoint={store}", environment)
        assert what == "the instance's metadata service does not answer (answers 403 to the token)"

    def test_it_is_not_there(self, closed_port: str) -> None:
        with store_at(0) as store:
            environment = {**NOWHERE, "AWS_EC2_METADATA_SERVICE_ENDPOINT": closed_port}
            (what,) = told(f"s3://bucket?region=us-west-2&endpoint={store}", environment)
        assert what == "the instance's metadata service does not answer (ConnectError)"

    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    def test_credentials_from_elsewhere_need_none(self, name: str, closed_port: str) -> None:
        with store_at(0) as store:
            environment = {**NOWHERE, "AWS_EC2_METADATA_SERVICE_ENDPOINT": closed_port, name: "given"}
            assert told(f"s3://bucket?region=us-west-2&endpoint={store}", environment) == []


class TestAlibabaRole:
    def test_there_is_one(self) -> None:
        with store_at(0) as store, metadata_server(_role()) as metadata:
            facts = cloud_facts(f"oss://bucket?region=cn-hangzhou&endpoint={store}", {}, metadata.url)
        assert facts is not None
        assert (facts.role, facts.metadata_problem) == (True, "")

    def test_there_is_none(self) -> None:
        with store_at(0) as store, metadata_server(None) as metadata:
            facts = cloud_facts(f"oss://bucket?region=cn-hangzhou&endpoint={store}", {}, metadata.url)
        assert facts is not None
        assert facts.role is False

    def test_the_metadata_service_is_down(self) -> None:
        role = _role()
        role.down = True
        with store_at(0) as store, metadata_server(role) as metadata:
            facts = cloud_facts(f"oss://bucket?region=cn-hangzhou&endpoint={store}", {}, metadata.url)
        assert facts is not None
        assert facts.metadata_problem == "answers 400 to the token"


def _role() -> Metadata:
    return Metadata("node", "STS.id", "secret", "token", datetime.now(timezone.utc) + timedelta(hours=6))
