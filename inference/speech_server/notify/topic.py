"""A topic to which the end of every job is published: which kind a URL names."""

from __future__ import annotations

from typing import Protocol

from speech_server.notify.smq_topic import SmqTopic
from speech_server.queues.cloud_name import cloud_name
from speech_server.storage.alibaba_credentials import AlibabaCredentials

SCHEMES = ("sns", "smq-topic")


class Topic(Protocol):
    async def publish(self, body: str, client: str, status: str) -> None:
        """`client` and `status` are also given apart from the body, to be filtered by. Raises NotToldError."""
        ...

    async def close(self) -> None: ...


def open_topic(url: str) -> Topic:
    """The topic at `url`; nothing is asked of it yet. Raises ValueError for a URL that names none."""
    name = cloud_name(url, SCHEMES)
    if name.scheme == "sns":
        from speech_server.notify.sns import SnsTopic  # noqa: PLC0415 - boto3, which only a server on AWS has

        return SnsTopic(name)
    return SmqTopic(name, AlibabaCredentials().get)


def check_topic_url(url: str) -> None:
    """Raises ValueError as `open_topic` would, and opens nothing."""
    cloud_name(url, SCHEMES)
