"""Which kind of queue a URL names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from speech_server.queues.base import Queue
from speech_server.queues.cloud_name import cloud_name
from speech_server.queues.smq import SmqQueue
from speech_server.queues.sqlite import SqliteQueue
from speech_server.storage.alibaba_credentials import AlibabaCredentials


def open_queue(url: str) -> Queue:
    """The queue at `url`; nothing is asked of it yet. Raises ValueError for a URL that names none.

    To be called inside the event loop.
    """
    if url.startswith("sqlite:"):
        return SqliteQueue(sqlite_path(url))
    name = cloud_name(url, ("sqs", "smq"))
    if name.scheme == "sqs":
        from speech_server.queues.sqs import SqsQueue  # noqa: PLC0415 - boto3, which only a server on AWS has

        return SqsQueue(name)
    return SmqQueue(name, AlibabaCredentials().get)


def check_queue_url(url: str) -> None:
    """Raises ValueError as `open_queue` would, and opens nothing."""
    if url.startswith("sqlite:"):
        sqlite_path(url)
    else:
        cloud_name(url, ("sqs", "smq"))


def sqlite_path(url: str) -> Path:
    """The file of `sqlite:///DIRECTORY/FILE`. Raises ValueError."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    if parts.scheme != "sqlite" or parts.netloc or parts.query or not path or "\0" in path:
        raise ValueError(f"{url!r} names no file: it must be like sqlite:///DIRECTORY/FILE")
    return Path("/" + path)
