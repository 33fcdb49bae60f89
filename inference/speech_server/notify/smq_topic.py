"""`smq-topic://REGION/ACCOUNT/NAME`: a topic of Alibaba Cloud's Simple Message Queue.

https://www.alibabacloud.com/help/en/mns/developer-reference/message-management-publishmessage
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from speech_server.notify.webhook import NotToldError
from speech_server.queues.base import QueueError
from speech_server.queues.cloud_name import CloudName
from speech_server.queues.smq_client import SmqClient, message_xml
from speech_server.storage.alibaba_credentials import AccessKey

# A subscription filters by one tag of up to 16 characters: the status, which is one of few.
_TAG = re.compile(r"[a-z]{1,16}")


class SmqTopic:
    """The tag of a message is the job's status."""

    def __init__(self, name: CloudName, access_key: Callable[[], Awaitable[AccessKey]]) -> None:
        self._client = SmqClient(name, access_key)
        self._name = name.name

    async def publish(self, body: str, client: str, status: str) -> None:  # noqa: ARG002 - it is in the body
        if not _TAG.fullmatch(status):
            raise ValueError(f"{status!a} is no status")
        message = message_xml({"MessageBody": body, "MessageTag": status})
        try:
            await self._client.call("POST", f"/topics/{self._name}/messages", message)
        except QueueError as error:
            raise NotToldError(str(error)) from None

    async def close(self) -> None:
        await self._client.close()
