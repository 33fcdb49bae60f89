"""`sqs://REGION/ACCOUNT/NAME`: Amazon SQS, a standard queue with a redrive policy.

The credentials are those that boto3 finds: on a node the instance's role.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from speech_server.aws_client import AwsClient
from speech_server.queues.base import Depth, Message, QueueError
from speech_server.queues.cloud_name import CloudName

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
_MAX_DELAY_SECONDS = 900
_BATCH = 10
# Dead letters that are looked at are hidden for so long from others who look; each is shown again at the end.
_LOOK_SECONDS = 20
_LOST = frozenset({"InvalidParameterValue", "ReceiptHandleIsInvalid", "MessageNotInflight"})


class SqsQueue:
    """boto3 blocks, so calls run in threads of their own: a long poll must not hold up what others wait for."""

    max_delay_seconds = _MAX_DELAY_SECONDS

    def __init__(self, name: CloudName) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(12, "sqs")
        self._client = AwsClient(
            "sqs",
            name.region,
            name.endpoint,
            Config(
                connect_timeout=5,
                read_timeout=30,  # above the longest poll
                retries={"mode": "standard", "total_max_attempts": 3},
                max_pool_connections=12,
            ),
        )
        # boto3 knows the region's endpoint, China's partition included.
        self._url = f"{self._client.meta.endpoint_url.rstrip('/')}/{name.account}/{name.name}"
        self._dead_url: str | None = None

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        await asyncio.gather(
            *(self._send_batch(bodies[at : at + _BATCH], delay_seconds) for at in range(0, len(bodies), _BATCH))
        )

    async def receive(self, most: int, wait_seconds: float, lease_seconds: int) -> list[Message]:
        return await self._receive(self._url, most, wait_seconds, lease_seconds)

    async def extend(self, message: Message, lease_seconds: int) -> Message | None:
        held = await self._set_visibility(self._url, message, lease_seconds)
        return message if held else None

    async def delete(self, message: Message) -> None:
        await self._delete(self._url, message)

    async def retry(self, message: Message, delay_seconds: int) -> None:
        await self._set_visibility(self._url, message, delay_seconds)

    async def give_back(self, message: Message) -> None:
        # SQS cannot uncount a delivery: a new message can.
        await self.send([message.body])
        await self.delete(message)

    async def depth(self) -> Depth:
        names = ("", "Delayed", "NotVisible")
        attributes = await self._attributes(self._url, *(f"ApproximateNumberOfMessages{name}" for name in names))
        waiting, delayed, in_flight = (int(attributes[f"ApproximateNumberOfMessages{name}"]) for name in names)
        dead_url = await self._dead_letter_url()
        dead = 0
        if dead_url is not None:
            found = await self._attributes(
                dead_url, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
            )
            dead = sum(int(count) for count in found.values())
        return Depth(waiting, delayed, in_flight, dead)

    async def dead_letters(self, most: int) -> list[Message]:
        url = await self._dead_letter_url()
        if url is None:
            return []
        letters: dict[str, Message] = {}
        try:
            while len(letters) < most:
                found = await self._receive(url, min(_BATCH, most - len(letters)), 0, _LOOK_SECONDS)
                if not found:
                    break
                letters.update((message.id, message) for message in found)
        finally:
            # SQS has no way to look at a message without taking it: so it is taken and put back.
            await asyncio.gather(*(self._set_visibility(url, message, 0) for message in letters.values()))
        return list(letters.values())

    async def redrive(self, letter: Message, body: str) -> None:
        url = await self._dead_letter_url()
        if url is None:
            raise QueueError(f"the queue {self._name.name} has no dead-letter queue")
        await self.send([body])
        await self._delete(url, letter)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def _send_batch(self, bodies: Sequence[str], delay_seconds: int) -> None:
        entries = [
            {"Id": str(number), "MessageBody": body, "DelaySeconds": delay_seconds}
            for number, body in enumerate(bodies)
        ]
        answer = await self._call("send_message_batch", QueueUrl=self._url, Entries=entries)
        failed = answer.get("Failed", [])
        if failed:
            raise QueueError(f"SQS took {len(bodies) - len(failed)} of {len(bodies)} messages: {failed[0]['Code']}")

    async def _receive(self, url: str, most: int, wait_seconds: float, lease_seconds: int) -> list[Message]:
        answer = await self._call(
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=min(most, _BATCH),
            WaitTimeSeconds=round(wait_seconds),
            VisibilityTimeout=lease_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return [
            Message(
                found["MessageId"],
                found["Body"],
                found["ReceiptHandle"],
                int(found["Attributes"]["ApproximateReceiveCount"]),
            )
            for found in answer.get("Messages", [])
        ]

    async def _set_visibility(self, url: str, message: Message, seconds: int) -> bool:
        try:
            await self._call(
                "change_message_visibility",
                QueueUrl=url,
                ReceiptHandle=message.receipt,
                VisibilityTimeout=seconds,
            )
        except _RefusedError as error:
            if error.code.rpartition(".")[2] in _LOST:
                return False
            raise
        return True

    async def _delete(self, url: str, message: Message) -> None:
        try:
            await self._call("delete_message", QueueUrl=url, ReceiptHandle=message.receipt)
        except _RefusedError as error:
            if error.code.rpartition(".")[2] not in _LOST:
                raise

    async def _attributes(self, url: str, *names: str) -> dict[str, str]:
        answer = await self._call("get_queue_attributes", QueueUrl=url, AttributeNames=list(names))
        return answer.get("Attributes", {})

    async def _dead_letter_url(self) -> str | None:
        if self._dead_url is None:
            attributes = await self._attributes(self._url, "RedrivePolicy")
            if "RedrivePolicy" not in attributes:
                return None
            target = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
            # In the same account and region by SQS's rules, so its URL differs in the name alone, and the node's role
            # needs no right to ask for it.
            self._dead_url = self._url.rpartition("/")[0] + "/" + target.rpartition(":")[2]
        return self._dead_url

    async def _call(self, operation: str, **arguments: object) -> dict[str, Any]:
        def run() -> dict[str, Any]:
            return self._client.call(operation, **arguments)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, run)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise _RefusedError(code, f"SQS refused {error.operation_name} on {self._name.name}: {code}") from None
        except (BotoCoreError, RuntimeError) as error:  # RuntimeError: the threads have ended with the server
            raise QueueError(f"SQS cannot be reached for {self._name.name}: {type(error).__name__}") from None


class _RefusedError(QueueError):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
