"""What only SMQ asks for: signatures, clocks, a role's token, new receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from speech_server.queues import smq_client
from speech_server.queues.base import QueueError
from speech_server.queues.cloud_name import cloud_name
from speech_server.queues.smq import SmqQueue
from speech_server.queues.smq_client import RefusedError, content_md5, sign
from speech_server.storage.alibaba_credentials import AccessKey, CredentialsError
from tests.inference.queues.strict_smq import KEY_ID, KEY_SECRET, ROLE_ID, ROLE_SECRET, ROLE_TOKEN, StrictSmq

Key = Callable[[], Awaitable[AccessKey]]


def key(*parts: str | None) -> Key:
    async def get() -> AccessKey:
        access_id, secret, token = parts
        assert access_id is not None
        assert secret is not None
        return AccessKey(access_id, secret, token, None)

    return get


PERMANENT = key(KEY_ID, KEY_SECRET, None)


def with_queue(smq: StrictSmq, access_key: Key, test: Callable[[SmqQueue], Awaitable[None]], options: str = "") -> None:
    async def whole() -> None:
        queue = SmqQueue(cloud_name(f"smq://cn-hangzhou/1/jobs?endpoint={smq.url}{options}", ("smq",)), access_key)
        try:
            await test(queue)
        finally:
            await queue.close()

    asyncio.run(whole())


class TestSignatures:
    def test_the_example_of_the_vendors_documentation(self) -> None:
        """From "Sign requests": the string to sign is given there; its HMAC-SHA1 is computed by openssl."""
        headers = {
            "content-md5": "ZDgxNjY5ZjFlMDQ5MGM0YWMwMWE5ODlmZDVlYmQxYjI=",
            "content-type": "text/xml;charset=utf-8",
            "date": "Wed, 08 Mar 2012 12:00:00 GMT",
            "x-mns-version": "2015-06-06",
        }
        signature = sign("PUT", "/queues/$queueName?metaOverride=true", headers, "AccessKeySecret")
        assert signature == "GuRvTIIAHR29fjUlcqSDx5u4F9w="

    def test_the_md5_is_of_the_digest_not_of_its_text(self) -> None:
        assert content_md5(b"") == "1B2M2Y8AsgTpgAmY7PhCfg=="  # RFC 1864's digest of nothing

    @pytest.mark.parametrize("access_key", [PERMANENT, key(ROLE_ID, ROLE_SECRET, ROLE_TOKEN)])
    def test_a_permanent_key_and_a_roles(self, smq: StrictSmq, access_key: Key) -> None:
        async def test(queue: SmqQueue) -> None:
            await queue.send(["one"])

        with_queue(smq, access_key, test)

    @pytest.mark.parametrize(
        ("access_key", "code"),
        [
            (key(KEY_ID, "another secret", None), "SignatureDoesNotMatch"),
            (key("LTAI-unknown", KEY_SECRET, None), "AccessIDAuthError"),
            (key(ROLE_ID, ROLE_SECRET, "old token"), "SecurityTokenError"),
        ],
    )
    def test_a_wrong_one_is_told_by_its_code_alone(self, smq: StrictSmq, access_key: Key, code: str) -> None:
        async def test(queue: SmqQueue) -> None:
            with pytest.raises(RefusedError) as refused:
                await queue.send(["one"])
            assert refused.value.code == code
            assert KEY_SECRET not in str(refused.value)

        with_queue(smq, access_key, test)

    def test_a_clock_that_is_wrong_by_more_than_a_quarter_of_an_hour(
        self, smq: StrictSmq, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(smq_client.time, "time", lambda: 1_000_000_000.0)

        async def test(queue: SmqQueue) -> None:
            with pytest.raises(RefusedError) as refused:
                await queue.send(["one"])
            assert refused.value.code == "TimeExpired"

        with_queue(smq, PERMANENT, test)

    def test_no_key_is_an_error_of_the_queue(self, smq: StrictSmq) -> None:
        async def none() -> AccessKey:
            raise CredentialsError("no role here")

        async def test(queue: SmqQueue) -> None:
            with pytest.raises(QueueError, match="no role here"):
                await queue.depth()

        with_queue(smq, none, test)


class TestService:
    def test_a_fault_of_the_service_is_tried_once_more(self, smq: StrictSmq) -> None:
        async def test(queue: SmqQueue) -> None:
            smq.fail_next = 1
            await queue.send(["one"])
            smq.fail_next = 2
            with pytest.raises(RefusedError, match="InternalError"):
                await queue.send(["two"])
            assert [message.body for message in await queue.receive(10, 0, 60)] == ["one"]

        with_queue(smq, PERMANENT, test)

    def test_a_service_that_is_away(self, smq: StrictSmq) -> None:
        async def test(queue: SmqQueue) -> None:
            with pytest.raises(QueueError, match="cannot be reached"):
                await queue.send(["one"])

        gone = StrictSmq()
        gone._http.server_close()
        with_queue(gone, PERMANENT, test)

    def test_without_the_dead_letter_queues_name_there_is_nothing_to_list(self, smq: StrictSmq) -> None:
        async def test(queue: SmqQueue) -> None:
            assert await queue.dead_letters(10) == []
            assert (await queue.depth()).dead == 0

        with_queue(smq, PERMANENT, test)

    def test_each_lease_has_a_receipt_of_its_own(self, smq: StrictSmq) -> None:
        async def test(queue: SmqQueue) -> None:
            await queue.send(["one"])
            (message,) = await queue.receive(1, 0, 60)
            extended = await queue.extend(message, 60)
            assert extended is not None
            assert extended.receipt != message.receipt
            await queue.delete(message)  # no longer counts
            assert (await queue.depth()).in_flight == 1
            await queue.delete(extended)
            assert (await queue.depth()).in_flight == 0

        with_queue(smq, PERMANENT, test)
