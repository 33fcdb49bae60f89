"""`smq://REGION/ACCOUNT/NAME`: a queue of Alibaba Cloud's Simple Message Queue (formerly MNS).

It needs a dead-letter policy with `MAX_TRIES`; `?dead=NAME` says where its dead letters go, so that they can be listed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from urllib.parse import quote
from xml.etree import ElementTree

from speech_server.queues.base import Depth, Message, QueueError
from speech_server.queues.cloud_name import CloudName
from speech_server.queues.smq_client import (
    RefusedError,
    SmqClient,
    children,
    messages_xml,
    text_of,
)
from speech_server.storage.alibaba_credentials import AccessKey

# https://www.alibabacloud.com/help/en/mns/user-guide/limits
_MAX_DELAY_SECONDS = 7 * 24 * 3600
_BATCH = 16
_NONE = "MessageNotExist"
_LOST = frozenset({_NONE, "ReceiptHandleError"})
_LOOK_SECONDS = 20


class SmqQueue:
    """A new lease gives a message a new receipt: the one that `extend` returns is the only one that still counts."""

    max_delay_seconds = _MAX_DELAY_SECONDS

    def __init__(self, name: CloudName, access_key: Callable[[], Awaitable[AccessKey]]) -> None:
        self._client = SmqClient(name, access_key)
        self._name = name.name
        self._dead = name.dead

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        await asyncio.gather(
            *(self._send_batch(bodies[at : at + _BATCH], delay_seconds) for at in range(0, len(bodies), _BATCH))
        )

    async def receive(self, most: int, wait_seconds: float, lease_seconds: int) -> list[Message]:
        return await self._receive(self._name, most, wait_seconds, lease_seconds)

    async def extend(self, message: Message, lease_seconds: int) -> Message | None:
        return await self._set_visibility(self._name, message, lease_seconds)

    async def delete(self, message: Message) -> None:
        await self._delete(self._name, message)

    async def retry(self, message: Message, delay_seconds: int) -> None:
        await self._set_visibility(self._name, message, delay_seconds)

    async def give_back(self, message: Message) -> None:
        # SMQ cannot uncount a delivery: a new message can.
        await self.send([message.body])
        await self.delete(message)

    async def depth(self) -> Depth:
        found = await self._client.call("GET", f"/queues/{self._name}")
        waiting, delayed, in_flight = (
            int(text_of(found, name)) for name in ("ActiveMessages", "DelayMessages", "InactiveMessages")
        )
        dead = 0
        if self._dead is not None:
            letters = await self._client.call("GET", f"/queues/{self._dead}")
            dead = sum(int(text_of(letters, name)) for name in ("ActiveMessages", "InactiveMessages"))
        return Depth(waiting, delayed, in_flight, dead)

    async def dead_letters(self, most: int) -> list[Message]:
        if self._dead is None:
            return []
        dead = self._dead
        letters: list[Message] = []
        while len(letters) < most:
            found = await self._receive(dead, min(_BATCH, most - len(letters)), 0, _LOOK_SECONDS)
            if not found:
                break
            letters += found
        # SMQ's peek shows the first few only, and gives no receipt: so they are taken and put back.
        shown = await asyncio.gather(*(self._set_visibility(dead, letter, 0) for letter in letters))
        return [letter for letter in shown if letter is not None]

    async def redrive(self, letter: Message, body: str) -> None:
        if self._dead is None:
            raise QueueError(f"the queue {self._name} was given without its dead-letter queue (?dead=NAME)")
        await self.send([body])
        await self._delete(self._dead, letter)

    async def close(self) -> None:
        await self._client.close()

    async def _send_batch(self, bodies: Sequence[str], delay_seconds: int) -> None:
        messages = [{"MessageBody": body, "DelaySeconds": delay_seconds} for body in bodies]
        await self._client.call("POST", f"/queues/{self._name}/messages", messages_xml([*messages]))

    async def _receive(self, queue: str, most: int, wait_seconds: float, lease_seconds: int) -> list[Message]:
        resource = f"/queues/{queue}/messages?numOfMessages={min(most, _BATCH)}"
        if wait_seconds >= 1:  # SMQ waits 1-30 s; without the parameter as long as the queue's own setting says
            resource += f"&waitseconds={round(wait_seconds)}"
        else:
            resource += "&waitseconds=0"
        try:
            answer = await self._client.call("GET", resource, wait_seconds=wait_seconds)
        except RefusedError as error:
            if error.code == _NONE:
                return []
            raise
        # A delivery has the queue's own lease; the one that is wanted has to be asked for.
        held = await asyncio.gather(
            *(self._set_visibility(queue, _message(found), lease_seconds) for found in children(answer, "Message"))
        )
        return [message for message in held if message is not None]

    async def _set_visibility(self, queue: str, message: Message, seconds: int) -> Message | None:
        # 1 s is the least that SMQ takes.
        resource = f"{_receipt(queue, 'receiptHandle', message)}&visibilityTimeout={max(1, seconds)}"
        try:
            answer = await self._client.call("PUT", resource)
        except RefusedError as error:
            if error.code in _LOST:
                return None
            raise
        return replace(message, receipt=text_of(answer, "ReceiptHandle"))

    async def _delete(self, queue: str, message: Message) -> None:
        try:
            await self._client.call("DELETE", _receipt(queue, "ReceiptHandle", message))
        except RefusedError as error:
            if error.code not in _LOST:
                raise


def _receipt(queue: str, parameter: str, message: Message) -> str:
    return f"/queues/{queue}/messages?{parameter}={quote(message.receipt, safe='+/=')}"


def _message(found: ElementTree.Element) -> Message:
    return Message(
        text_of(found, "MessageId"),
        text_of(found, "MessageBody"),
        text_of(found, "ReceiptHandle"),
        int(text_of(found, "DequeueCount")),
    )
