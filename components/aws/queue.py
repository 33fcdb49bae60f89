"""The job queue on AWS."""

from __future__ import annotations

import json
from typing import Any

import pulumi
from pulumi_aws import sns, sqs

from components import contracts
from components.contracts import JobQueueArgs
from components.settings import AwsSettings

# A job that three nodes took and none finished will not be finished by a fourth.
TRIES = 3
# A node extends it while it works; one that is gone gives its job back after so long.
VISIBILITY_SECONDS = 300
# The longest poll and the longest retention that SQS has:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
POLL_SECONDS = 20
RETENTION_SECONDS = 14 * 24 * 3600
# A dead letter keeps the age that it had: what waits longer here than this would be dropped the moment it dies.
JOB_RETENTION_SECONDS = 7 * 24 * 3600


class JobQueue(contracts.JobQueue):
    """- A dead-letter queue, which takes a job that failed three times from this queue and no other.
    - The queue of jobs; at least once, so that a node that dies loses none.
    - A topic on which nodes tell that a job is done. Nodes alone publish: its encryption by the key that SNS keeps for
      the account is one that CloudWatch and other services cannot use.
    All encrypted, and reached over TLS only.
    """

    arn: pulumi.Output[str]
    queue_name: pulumi.Output[str]
    dead_letter_arn: pulumi.Output[str]
    dead_letter_name: pulumi.Output[str]
    topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: JobQueueArgs[AwsSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:aws:JobQueue", name, {}, opts)
        under = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=args.settings.protect)

        dead = sqs.Queue(
            f"{name}-dead-jobs",
            message_retention_seconds=RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=kept,
        )
        jobs = sqs.Queue(
            f"{name}-jobs",
            visibility_timeout_seconds=VISIBILITY_SECONDS,
            receive_wait_time_seconds=POLL_SECONDS,
            message_retention_seconds=JOB_RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            redrive_policy=dead.arn.apply(lambda arn: json.dumps(redrive(arn))),
            opts=kept,
        )
        sqs.RedriveAllowPolicy(
            f"{name}-dead-jobs-sources",
            queue_url=dead.url,
            redrive_allow_policy=jobs.arn.apply(lambda arn: json.dumps(redrive_allow(arn))),
            opts=under,
        )
        for label, queue in (("dead-jobs", dead), ("jobs", jobs)):
            sqs.QueuePolicy(
                f"{name}-{label}-policy",
                queue_url=queue.url,
                policy=queue.arn.apply(lambda arn: json.dumps(tls_only("sqs:*", arn))),
                opts=under,
            )

        topic = sns.Topic(f"{name}-finished", kms_master_key_id="alias/aws/sns", opts=under)
        sns.TopicPolicy(
            f"{name}-finished-policy",
            arn=topic.arn,
            # A topic's policy takes actions on topics only: "sns:*" is refused as out of scope.
            policy=topic.arn.apply(lambda arn: json.dumps(tls_only("sns:Publish", arn))),
            opts=under,
        )

        self.arn = jobs.arn
        self.url = jobs.arn.apply(queue_url)
        self.queue_name = jobs.name
        self.dead_letter_arn = dead.arn
        self.dead_letter_name = dead.name
        self.topic_arn = topic.arn
        self.register_outputs({"url": self.url, "topic": self.topic_arn})


def redrive(dead_letter_arn: str) -> dict[str, Any]:
    """Where the queue puts a job that nobody finishes."""
    return {"deadLetterTargetArn": dead_letter_arn, "maxReceiveCount": TRIES}


def redrive_allow(source_arn: str) -> dict[str, Any]:
    """From which queue dead letters come."""
    return {"redrivePermission": "byQueue", "sourceQueueArns": [source_arn]}


def tls_only(action: str, arn: str) -> dict[str, Any]:
    """A policy that allows nobody anything: roles do. It refuses `action` to everybody who comes without TLS."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": action,
                "Resource": arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def queue_url(arn: str) -> str:
    """`sqs://REGION/ACCOUNT/NAME` of `arn:aws:sqs:REGION:ACCOUNT:NAME`."""
    region, account, queue = arn.split(":")[3:6]
    return f"sqs://{region}/{account}/{queue}"
