"""The job queue on Alibaba Cloud."""

from __future__ import annotations

import pulumi
from pulumi_alicloud import message

from components import contracts
from components.alicloud.names import resource_name
from components.alicloud.provider import all_tags
from components.contracts import JobQueueArgs
from components.settings import AlicloudSettings

# A job that three nodes took and none finished will not be finished by a fourth.
TRIES = 3
# A node extends it while it works; one that is gone gives its job back after so long.
VISIBILITY_SECONDS = 300
# The longest poll and the longest retention that Simple Message Queue has:
# https://www.alibabacloud.com/help/en/mns/product-overview/limits
POLL_SECONDS = 30
RETENTION_SECONDS = 7 * 24 * 3600
# Shorter than a dead letter's, so that there is time to look at one whatever age it counts from.
JOB_RETENTION_SECONDS = 4 * 24 * 3600


class JobQueue(contracts.JobQueue):
    """- A dead-letter queue, which takes a job that failed three times.
    - The queue of jobs; at least once, so that a node that dies loses none.
    - A topic on which nodes tell that a job is done.

    Who reaches them is a matter of roles alone: they have no policies of their own, and the account's owner opened
    them to nobody. Messages hold identifiers and no text that is spoken. Their encryption at rest is not set: Alibaba
    Cloud opens that to accounts one by one, on request.
    """

    queue_name: pulumi.Output[str]
    dead_letter_name: pulumi.Output[str]
    topic_name: pulumi.Output[str]
    topic_url: pulumi.Output[str]

    def __init__(self, name: str, args: JobQueueArgs[AlicloudSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:alicloud:JobQueue", name, {}, opts)
        settings, stack = args.settings, pulumi.get_stack()
        tags = all_tags(settings, stack)
        kept = pulumi.ResourceOptions(parent=self, protect=settings.protect)
        dead = message.ServiceQueue(
            f"{name}-dead-jobs",
            queue_name=resource_name(settings, stack, "dead-jobs"),
            message_retention_period=RETENTION_SECONDS,
            tags=tags,
            opts=kept,
        )
        jobs = message.ServiceQueue(
            f"{name}-jobs",
            queue_name=resource_name(settings, stack, "jobs"),
            visibility_timeout=VISIBILITY_SECONDS,
            polling_wait_seconds=POLL_SECONDS,
            message_retention_period=JOB_RETENTION_SECONDS,
            dlq_policy=message.ServiceQueueDlqPolicyArgs(
                enabled=True, dead_letter_target_queue=dead.queue_name, max_receive_count=TRIES
            ),
            tags=tags,
            opts=kept,
        )
        topic = message.ServiceTopic(
            f"{name}-finished",
            topic_name=resource_name(settings, stack, "finished"),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.queue_name = jobs.queue_name
        self.dead_letter_name = dead.queue_name
        self.topic_name = topic.topic_name
        self.url = pulumi.Output.all(jobs.queue_name, dead.queue_name).apply(
            lambda names: f"{message_url('smq', settings, names[0])}&dead={names[1]}"
        )
        self.topic_url = topic.topic_name.apply(lambda own: message_url("smq-topic", settings, own))
        self.register_outputs({"url": self.url, "topic": self.topic_url})


def message_url(scheme: str, settings: AlicloudSettings, name: str) -> str:
    """Where a node finds a queue (`smq`) or a topic (`smq-topic`): by the endpoint inside the cloud."""
    return f"{scheme}://{settings.region}/{settings.account}/{name}?internal=true"
