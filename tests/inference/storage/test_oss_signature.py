"""OSS's signature against the vendor's own test vectors.

https://github.com/aliyun/alibabacloud-oss-python-sdk-v2/blob/main/tests/unit/signer/test_v4.py
"""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from speech_server.storage.alibaba_credentials import AccessKey
from speech_server.storage.oss_signature import (
    OssObject,
    canonical_query,
    signature_of,
    signed_headers,
    signed_query,
)

TARGET = OssObject("cn-hangzhou", "bucket", "1234+-/123/1.txt")
QUERY = {
    "param1": "value1",
    "+param1": "value3",
    "|param1": "value4",
    "+param2": "",
    "|param2": "",
    "param2": "",
}
KEY = AccessKey("ak", "sk", None, None)
ROLE_KEY = AccessKey("ak", "sk", "token", None)


class TestSignature:
    @pytest.mark.parametrize(
        ("seconds", "token", "signature"),
        [
            (1702743657, None, "e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"),
            (1702784856, "token", "b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea"),
        ],
    )
    def test_of_headers(self, seconds: int, token: str | None, signature: str) -> None:
        time = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "x-oss-head1": "value",
            "abc": "value",
            "ZAbc": "value",
            "XYZ": "value",
            "content-type": "text/plain",
            "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
            "x-oss-date": time,
            **({} if token is None else {"x-oss-security-token": token}),
        }
        key = AccessKey("ak", "sk", token, None)
        assert signature_of("PUT", TARGET, canonical_query(QUERY), headers, key, time) == signature

    @pytest.mark.parametrize(
        ("seconds", "token", "signature"),
        [
            (1702781677, None, "a39966c61718be0d5b14e668088b3fa07601033f6518ac7b523100014269c0fe"),
            (1702785388, "token", "3817ac9d206cd6dfc90f1c09c00be45005602e55898f26f5ddb06d7892e1f8b5"),
        ],
    )
    def test_of_a_url(self, seconds: int, token: str | None, signature: str) -> None:
        time = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        query = {
            **QUERY,
            "x-oss-signature-version": "OSS4-HMAC-SHA256",
            "x-oss-date": time,
            "x-oss-expires": "599",
            "x-oss-credential": f"ak/{time[:8]}/cn-hangzhou/oss/aliyun_v4_request",
            **({} if token is None else {"x-oss-security-token": token}),
        }
        headers = {"x-oss-head1": "value", "content-type": "application/octet-stream"}
        key = AccessKey("ak", "sk", token, None)
        assert signature_of("PUT", TARGET, canonical_query(query), headers, key, time) == signature

    def test_the_header_names_scope_and_signature_and_the_token_is_signed(self) -> None:
        now = datetime.fromtimestamp(1702784856, timezone.utc)
        signed = signed_headers("PUT", TARGET, {"content-type": "text/plain"}, ROLE_KEY, now)
        scope = "ak/20231217/cn-hangzhou/oss/aliyun_v4_request"
        assert signed["authorization"].startswith(f"OSS4-HMAC-SHA256 Credential={scope},Signature=")
        assert signed["x-oss-security-token"] == "token"
        assert (
            signed["authorization"]
            != signed_headers("PUT", TARGET, {"content-type": "text/plain"}, KEY, now)["authorization"]
        )

    def test_the_url_carries_all_that_is_signed(self) -> None:
        now = datetime.fromtimestamp(1702784856, timezone.utc)
        query = signed_query("GET", TARGET, {"response-content-disposition": "attachment"}, 60, ROLE_KEY, now)
        names = [pair.partition("=")[0] for pair in query.split("&")]
        assert names == [
            "response-content-disposition",
            "x-oss-credential",
            "x-oss-date",
            "x-oss-expires",
            "x-oss-security-token",
            "x-oss-signature-version",
            "x-oss-signature",
        ]
