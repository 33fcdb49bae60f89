"""What a queue's URL may be, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech_server.queues.cloud_name import CloudName, cloud_name
from speech_server.queues.open_queue import check_queue_url, sqlite_path
from speech_server.queues.smq_client import endpoint_of


class TestQueueUrls:
    @pytest.mark.parametrize("url", ["sqlite:///var/lib/q.sqlite", "sqlite:////var/lib/q.sqlite"])
    def test_a_file(self, url: str) -> None:
        assert sqlite_path(url) == Path("/var/lib/q.sqlite")

    def test_a_queue_in_a_cloud(self) -> None:
        found = cloud_name("smq://cn-hangzhou/12/jobs?dead=dead-jobs&internal=true", ("sqs", "smq"))
        assert found == CloudName("smq", "cn-hangzhou", "12", "jobs", dead="dead-jobs", internal=True)

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            ("redis://here", "no scheme that is known"),
            ("sqlite://host/file", "names no file"),
            ("sqlite:///", "names no file"),
            ("sqs://us-west-2/123", "needs a region, an account and a name"),
            ("sqs://us-west-2/123/a/b", "needs a region, an account and a name"),
            ("sqs://us-west-2/123/..", "needs a region, an account and a name"),
            ("sqs://us-west-2/123/a?dead=b", "'dead' is no option"),
            ("smq://cn-hangzhou/1/a?internal=yes", "internal must be true or false"),
            ("smq://cn-hangzhou/1/a?endpoint=ftp://x", "endpoint must be like https://HOST"),
            ("smq://cn-hangzhou/1/a?endpoint=http://user:pw@x", "endpoint must be like https://HOST"),
            ("smq://cn-hangzhou/1/a?dead=../b", "dead must be a queue's name"),
        ],
    )
    def test_a_wrong_one_is_told(self, url: str, problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            check_queue_url(url)

    def test_smq_is_reached_by_tls_and_inside_the_region_if_so_told(self) -> None:
        name = cloud_name("smq://cn-hangzhou/12/jobs", ("smq",))
        assert endpoint_of(name) == "https://12.mns.cn-hangzhou.aliyuncs.com"
        inside = cloud_name("smq://cn-hangzhou/12/jobs?internal=true", ("smq",))
        assert endpoint_of(inside) == "https://12.mns.cn-hangzhou-internal.aliyuncs.com"
