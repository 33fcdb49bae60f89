"""What only S3 does: credentials by the vendor's SDK, and the addresses of its partitions."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from speech_server.storage.s3 import S3Store
from speech_server.storage.store import StoreError
from tests.inference.storage.conftest import Run
from tests.listening import listening


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    # The last one: an emulator's fixture of another file may have set it for the whole session.
    for name in (
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@contextmanager
def instance_metadata(token: str, down: threading.Event | None = None) -> Iterator[str]:
    """A stand-in for EC2's metadata service, version 2: nothing without the session token, and nothing while `down`."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

        def do_PUT(self) -> None:
            self._send(503 if down and down.is_set() else 200, "imds-session")

        def do_GET(self) -> None:
            expires = datetime.now(timezone.utc) + timedelta(hours=6)
            key = {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": "ASIAOFATEST",
                "SecretAccessKey": "role-secret",
                "Token": token,
                "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
                "LastUpdated": "2026-11-22T00:00:00Z",
            }
            if down and down.is_set():
                self._send(503, "")
            elif self.headers.get("x-aws-ec2-metadata-token") != "imds-session":
                self._send(401, "")
            elif self.path.endswith("/security-credentials/"):
                self._send(200, "speech-node")
            else:
                self._send(200, json.dumps(key))

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.send_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
            self.end_headers()
            self.wfile.write(text.encode())

    with listening(Handler) as address:
        yield address


@pytest.mark.usefixtures("no_credentials")
class TestCredentials:
    def test_a_role_signs_requests_and_urls(self, s3_url: str, run: Run[Any], monkeypatch: pytest.MonkeyPatch) -> None:
        bucket, query = urlsplit(s3_url).netloc, parse_qs(urlsplit(s3_url).query)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with instance_metadata("role-token") as address:
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
            store = S3Store(bucket, query["region"][0], query["endpoint"][0])
            run(store.put("a/b", b"1", "audio/wav"))
            assert run(store.get("a/b")) == b"1"
            url = parse_qs(urlsplit(run(store.presign("a/b", 60))).query)
            assert url["X-Amz-Security-Token"] == ["role-token"]
            assert url["X-Amz-Credential"][0].startswith("ASIAOFATEST/")
            store.close()

    def test_a_server_that_was_there_before_its_role_does_not_stay_without(
        self, s3_url: str, run: Run[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket, query = urlsplit(s3_url).netloc, parse_qs(urlsplit(s3_url).query)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        down = threading.Event()
        down.set()
        with instance_metadata("role-token", down) as address:
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
            store = S3Store(bucket, query["region"][0], query["endpoint"][0])
            with pytest.raises(StoreError):
                run(store.put("a/b", b"1", "audio/wav"))
            with pytest.raises(StoreError, match="no URL can be signed"):
                run(store.presign("a/b", 60))
            down.clear()
            run(store.put("a/b", b"1", "audio/wav"))
            assert "X-Amz-Security-Token=role-token" in run(store.presign("a/b", 60))
            store.close()

    def test_without_any_the_remedy_is_told(self, run: Run[Any], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        store = S3Store("speech", "us-west-2", "http://127.0.0.1:9")
        for call in (store.get("a/b"), store.put("a/b", b"", "audio/wav", create=True)):
            with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID") as failed:
                run(call)
            assert failed.value.retryable
        with pytest.raises(StoreError, match="no URL can be signed"):
            run(store.presign("a/b", 60))
        store.close()


class TestAddresses:
    @pytest.mark.parametrize(
        ("region", "host"),
        [("us-west-2", "s3.us-west-2.amazonaws.com"), ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn")],
    )
    def test_of_each_partition(self, run: Run[Any], monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "root")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "root")
        store = S3Store("speech", region, None)
        url = urlsplit(run(store.presign("a/b", 60, "b.wav")))
        assert (url.scheme, url.hostname, url.path) == ("https", host, "/speech/a/b")
        assert parse_qs(url.query)["response-content-disposition"] == ['attachment; filename="b.wav"']
        store.close()
