"""Where an access key comes from, and that it is renewed in time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from speech_server.storage.alibaba_credentials import AlibabaCredentials, CredentialsError
from tests.inference.storage.conftest import Run
from tests.inference.storage.metadata_server import Metadata, metadata_server


def later(**time: float) -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(**time)


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with metadata_server(Metadata("speech-node", "STS.1", "secret-1", "token-1", later(hours=6))) as served:
        yield served


class TestEnvironment:
    def test_a_given_key_goes_before_the_role(self, metadata: Metadata) -> None:
        variables = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret",
            "ALIBABA_CLOUD_SECURITY_TOKEN": "token",
        }
        key = AlibabaCredentials(variables, metadata.url).current()
        assert (key.id, key.secret, key.token, key.expires) == ("id", "secret", "token", None)
        assert metadata.handed_out == 0
        assert "secret" not in repr(key)

    def test_half_a_key_is_none(self, metadata: Metadata) -> None:
        assert AlibabaCredentials({"ALIBABA_CLOUD_ACCESS_KEY_ID": "id"}, metadata.url).current().id == "STS.1"


class TestRole:
    def test_it_is_asked_once_whoever_wants_it(self, metadata: Metadata, run: Run[Any]) -> None:
        credentials = AlibabaCredentials({}, metadata.url)
        with ThreadPoolExecutor(8) as threads:
            found = set(threads.map(lambda _: credentials.current(), range(32)))
        assert {key.id for key in found} == {"STS.1"}
        assert run(credentials.get()).expires == metadata.expires
        assert metadata.handed_out == 1

    def test_it_is_renewed_before_it_ends(self, metadata: Metadata) -> None:
        credentials = AlibabaCredentials({}, metadata.url)
        metadata.expires = later(minutes=14)
        assert credentials.current().id == "STS.1"
        metadata.key_id, metadata.expires = "STS.2", later(hours=6)
        assert credentials.current().id == "STS.2"
        assert credentials.current().id == "STS.2"
        assert metadata.handed_out == 2

    def test_an_outage_of_the_metadata_service_is_bridged_while_the_key_lasts(self, metadata: Metadata) -> None:
        credentials = AlibabaCredentials({}, metadata.url)
        metadata.expires = later(minutes=10)
        credentials.current()
        metadata.down = True
        assert credentials.current().id == "STS.1"

    def test_a_key_that_ends_now_is_not_used(self, metadata: Metadata) -> None:
        credentials = AlibabaCredentials({}, metadata.url)
        metadata.expires = later(seconds=30)
        credentials.current()
        metadata.down = True
        with pytest.raises(CredentialsError, match="answered 400"):
            credentials.current()

    def test_the_role_may_be_named(self, metadata: Metadata) -> None:
        with pytest.raises(CredentialsError, match="404: has the instance a RAM role"):
            AlibabaCredentials({"ALIBABA_CLOUD_ECS_METADATA": "another"}, metadata.url).current()

    def test_no_metadata_service_is_one_sentence_with_the_remedy(self) -> None:
        with pytest.raises(CredentialsError, match="set ALIBABA_CLOUD_ACCESS_KEY_ID"):
            AlibabaCredentials({}, "http://127.0.0.1:9").current()
