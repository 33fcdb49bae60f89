"""Topics: SNS by an emulator, SMQ's by the strict stand-in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator

import pytest

from speech_server.notify.smq_topic import SmqTopic
from speech_server.notify.sns import SnsTopic
from speech_server.notify.topic import check_topic_url
from speech_server.notify.webhook import NotToldError
from speech_server.queues.cloud_name import cloud_name
from tests.inference.queues.conftest import ACCOUNT, REGION, Moto, aws_credentials, moto, smq_key
from tests.inference.queues.strict_smq import StrictSmq

__all__ = ["aws_credentials", "moto"]


@pytest.fixture
def smq() -> Generator[StrictSmq]:
    with StrictSmq() as server:
        yield server


class TestSns:
    def test_what_is_published_reaches_a_subscriber(self, moto: Moto) -> None:
        sns, sqs = moto.client("sns"), moto.client("sqs")
        topic = sns.create_topic(Name="finished")["TopicArn"]
        url = sqs.create_queue(QueueName="listener")["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:listener")

        async def publish() -> None:
            made = SnsTopic(cloud_name(f"sns://{REGION}/{ACCOUNT}/finished?endpoint={moto.url}", ("sns",)))
            await made.publish('{"a": "你好"}', "studio", "succeeded")
            await made.close()

        asyncio.run(publish())
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
        notification = json.loads(message["Body"])
        assert json.loads(notification["Message"]) == {"a": "你好"}
        assert notification["MessageAttributes"]["status"]["Value"] == "succeeded"
        assert notification["MessageAttributes"]["client"]["Value"] == "studio"
        for client in (sns, sqs):
            client.close()

    def test_a_topic_that_is_not_there(self, moto: Moto) -> None:
        async def publish() -> None:
            made = SnsTopic(cloud_name(f"sns://{REGION}/{ACCOUNT}/missing?endpoint={moto.url}", ("sns",)))
            try:
                await made.publish("{}", "studio", "succeeded")
            finally:
                await made.close()

        with pytest.raises(NotToldError, match="SNS refused: NotFound"):
            asyncio.run(publish())


class TestSmqTopic:
    @staticmethod
    def publish(smq: StrictSmq, topic: str, body: str) -> None:
        async def run() -> None:
            name = cloud_name(f"smq-topic://cn-hangzhou/1234/{topic}?endpoint={smq.url}", ("smq-topic",))
            made = SmqTopic(name, smq_key)
            try:
                await made.publish(body, "studio", "failed")
            finally:
                await made.close()

        asyncio.run(run())

    def test_the_tag_is_the_status(self, smq: StrictSmq) -> None:
        self.publish(smq, "finished", '{"text": "<&> 你好"}')
        assert smq.published == [("finished", "failed", '{"text": "<&> 你好"}')]

    def test_a_topic_that_is_not_there(self, smq: StrictSmq) -> None:
        with pytest.raises(NotToldError, match="TopicNotExist"):
            self.publish(smq, "missing", "{}")


class TestUrls:
    @pytest.mark.parametrize("url", ["sns://us-west-2/1/a", "smq-topic://cn-hangzhou/1/a?internal=true"])
    def test_right_ones(self, url: str) -> None:
        check_topic_url(url)

    @pytest.mark.parametrize("url", ["sqs://us-west-2/1/a", "sns://us-west-2/1", "sns://r/1/a?x=1", "", "https://x"])
    def test_wrong_ones(self, url: str) -> None:
        with pytest.raises(ValueError, match="sns://"):
            check_topic_url(url)
