"""What a store's URL may say, and that nothing else passes."""

from __future__ import annotations

import pytest

from speech_server.storage.store_url import StoreUrl, parse_store_url


class TestStoreUrl:
    @pytest.mark.parametrize(
        ("url", "parsed"),
        [
            ("file:///var/lib/speech%20data", StoreUrl("file", "/var/lib/speech data", {})),
            ("s3://speech.voices?region=us-west-2", StoreUrl("s3", "speech.voices", {"region": "us-west-2"})),
            (
                "oss://speech?region=cn-hangzhou&internal=true&public=https://clips.example.com",
                StoreUrl(
                    "oss",
                    "speech",
                    {"region": "cn-hangzhou", "internal": "true", "public": "https://clips.example.com"},
                ),
            ),
        ],
    )
    def test_each_kind(self, url: str, parsed: StoreUrl) -> None:
        assert parse_store_url(url) == parsed

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            ("", "no such kind of store; use file:///DIR"),
            ("/var/lib/speech", "no such kind of store"),
            ("gs://bucket?region=r1", "no such kind of store"),
            ("file://var/lib", "three slashes"),
            ("file:relative", "three slashes"),
            ("file:///a?region=r1", "'region' is no parameter of file:; there are none"),
            ("s3://bucket", "region is missing"),
            ("s3://bucket?region=US West", "region is missing"),
            ("s3://bucket?region=us-west-2&internal=true", "'internal' is no parameter of s3"),
            ("s3://bucket?region=us-west-2&region=us-east-1", "given twice"),
            ("s3://bucket/folder?region=us-west-2", "no bucket's name"),
            ("s3://Bucket?region=us-west-2", "no bucket's name"),
            ("oss://a.b?region=cn-hangzhou", "no bucket's name"),
            ("oss://speech?region=cn-hangzhou&internal=yes", "internal must be true or false, not 'yes'"),
            ("oss://speech?region=cn-hangzhou&endpoint=oss.example.com", "endpoint must be like https://"),
            ("oss://speech?region=cn-hangzhou&public=https://u:p@example.com", "public must be like https://"),
        ],
    )
    def test_a_wrong_one_is_told_apart(self, url: str, problem: str) -> None:
        with pytest.raises(ValueError, match=problem.replace("?", r"\?")):
            parse_store_url(url)
