"""What only OSS does: a role's keys, a bucket with versioning, the addresses of others."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest

from speech_server.storage.alibaba_credentials import AlibabaCredentials
from speech_server.storage.oss import OssStore
from speech_server.storage.store import StoreError
from tests.inference.storage.conftest import Run
from tests.inference.storage.metadata_server import Metadata, metadata_server
from tests.inference.storage.oss_server import OssBucket


def given() -> AlibabaCredentials:
    return AlibabaCredentials({"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"})


class TestRole:
    def test_every_call_is_signed_with_the_instances_keys(self, oss: OssBucket, run: Run[Any]) -> None:
        expires = datetime.now(timezone.utc) + timedelta(hours=6)
        with metadata_server(Metadata("speech-node", "STS.id", "role-secret", "role-token", expires)) as metadata:
            oss.keys = {"STS.id": ("role-secret", "role-token")}
            store = OssStore(oss.name, oss.region, False, oss.url, None, AlibabaCredentials({}, metadata.url))
            run(store.put("a/b", b"1", "audio/wav"))
            run(store.put("a/c", b"2", "audio/wav", create=True))
            assert run(store.get("a/c")) == b"2"
            assert "x-oss-security-token=role-token" in run(store.presign("a/c", 60))
            store.close()
        assert oss.refusals == []
        assert metadata.handed_out == 1

    def test_without_one_the_remedy_is_told(self, oss: OssBucket, run: Run[Any]) -> None:
        with metadata_server(None) as metadata:
            store = OssStore(oss.name, oss.region, False, oss.url, None, AlibabaCredentials({}, metadata.url))
            for call in (store.put("a/c", b"2", "audio/wav", create=True), store.presign("a/c", 60)):
                with pytest.raises(StoreError, match="RAM role"):
                    run(call)
            with pytest.raises(StoreError):
                run(store.get("a/b"))
            store.close()


class TestVersioning:
    def test_a_bucket_that_overwrites_what_must_be_written_once_is_refused(self, oss: OssBucket, run: Run[Any]) -> None:
        oss.versioned = True
        oss.keys = {"id": ("secret", None)}
        store = OssStore(oss.name, oss.region, False, oss.url, None, given())
        with pytest.raises(StoreError, match="speech-bucket has versioning"):
            run(store.put("a/c", b"2", "audio/wav", create=True))
        store.close()


class TestAddresses:
    @pytest.mark.parametrize(
        ("internal", "endpoint", "public", "host"),
        [
            (True, None, None, "voices.oss-cn-hangzhou.aliyuncs.com"),
            (False, None, None, "voices.oss-cn-hangzhou.aliyuncs.com"),
            (True, None, "https://clips.example.com", "clips.example.com"),
            (True, "https://inside.example.com", None, "inside.example.com"),
        ],
    )
    def test_what_is_signed_for_others_has_the_public_one(
        self, run: Run[Any], internal: bool, endpoint: str | None, public: str | None, host: str
    ) -> None:
        store = OssStore("voices", "cn-hangzhou", internal, endpoint, public, given())
        url = urlsplit(run(store.presign("results/a b.wav".replace(" ", "_"), 60)))
        assert (url.scheme, url.hostname, url.path) == ("https", host, "/results/a_b.wav")
        store.close()
