"""`sns://REGION/ACCOUNT/NAME`: a topic of Amazon SNS, with the credentials that boto3 finds."""

from __future__ import annotations

import asyncio

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from speech_server.aws_client import AwsClient
from speech_server.notify.webhook import NotToldError
from speech_server.queues.cloud_name import CloudName


class SnsTopic:
    """A message's attributes are `client` and `status`."""

    def __init__(self, name: CloudName) -> None:
        self._client = AwsClient(
            "sns",
            name.region,
            name.endpoint,
            Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2}),
        )
        self._arn = f"arn:{self._client.meta.partition}:sns:{name.region}:{name.account}:{name.name}"

    async def publish(self, body: str, client: str, status: str) -> None:
        attributes = {
            "client": {"DataType": "String", "StringValue": client},
            "status": {"DataType": "String", "StringValue": status},
        }
        try:
            await asyncio.to_thread(
                self._client.call, "publish", TopicArn=self._arn, Message=body, MessageAttributes=attributes
            )
        except ClientError as error:
            raise NotToldError(f"SNS refused: {error.response.get('Error', {}).get('Code', 'unknown')}") from None
        except BotoCoreError as error:
            raise NotToldError(f"SNS cannot be reached: {type(error).__name__}") from None

    async def close(self) -> None:
        await asyncio.to_thread(self._client.close)
