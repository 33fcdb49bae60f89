"""Who may do what: the policies of nodes and of the services that write for the stack, as plain data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.aws.user_data import NAMESPACE

Policy = dict[str, Any]

# What the server does with each folder of the bucket.
READ_FOLDERS = ("voices", "uploads", "results", "jobs", "clips", "audit", "usage")
WRITE_FOLDERS = (*READ_FOLDERS, "logs")
DELETE_FOLDERS = ("voices", "uploads", "jobs")
# https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
SESSION_MANAGER_CALLS = [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
]


@dataclass(frozen=True)
class NodeAccess:
    """What a node's role is about. `repository_arns`: none where the images come from a registry open to all."""

    region: str
    fleet: str
    bucket_arn: str
    queue_arn: str
    dead_letter_arn: str
    topic_arn: str
    keys_arn: str
    log_group_arn: str
    repository_arns: Sequence[str]
    weights: str | None
    """The folder below weights/ that a node reads; None for an engine without weights."""
    may_fill: bool
    """Whether a node writes that folder too, where the bucket has none yet."""


def node_policy(access: NodeAccess) -> Policy:
    """Every call that a node makes, on what it makes it, and nothing else."""
    weights = (f"weights/{access.weights}",) if access.weights else ()
    filled = weights if access.may_fill else ()
    read, write = (*READ_FOLDERS, *weights), (*WRITE_FOLDERS, *filled)
    statements = [
        _allow("ReadKeys", ["secretsmanager:GetSecretValue"], [access.keys_arn]),
        _allow("ReadObjects", ["s3:GetObject"], _objects(access, read)),
        _allow("WriteObjects", ["s3:PutObject", "s3:AbortMultipartUpload"], _objects(access, write)),
        _allow("DeleteObjects", ["s3:DeleteObject"], _objects(access, DELETE_FOLDERS)),
        _allow(
            "ListObjects",
            ["s3:ListBucket"],
            [access.bucket_arn],
            # A GET of an object that is not there has no prefix, and without this right says 403 and not 404.
            {"StringLikeIfExists": {"s3:prefix": [f"{folder}/*" for folder in read]}},
        ),
        _allow(
            "WorkOnJobs",
            [
                "sqs:SendMessage",
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueAttributes",
            ],
            [access.queue_arn],
        ),
        # An administrator of the service lists dead jobs and puts them back into the queue.
        _allow(
            "ReviveDeadJobs",
            ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"],
            [access.dead_letter_arn],
        ),
        _allow("TellOfResults", ["sns:Publish"], [access.topic_arn]),
        _allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{access.log_group_arn}:*"]),
        # The log driver and the agent look before they create.
        _allow("FindLogStreams", ["logs:DescribeLogStreams"], [access.log_group_arn, f"{access.log_group_arn}:*"]),
        # This call knows no resources; the namespace stands for one.
        _allow(
            "ReportMetrics",
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
        ),
        # Session Manager in place of SSH; these calls know no resources. The vendor's ready-made policy would let a
        # node read every parameter of the account as well.
        _allow("SessionManager", SESSION_MANAGER_CALLS, ["*"]),
        _allow("LeaveTheGroup", ["autoscaling:CompleteLifecycleAction"], [group_arn(access.region, access.fleet)]),
    ]
    if access.repository_arns:
        pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        statements += [
            # This call knows no resources.
            _allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
            _allow("PullImage", pull, list(access.repository_arns)),
        ]
    return _policy(statements)


def trust_policy(service: str) -> Policy:
    """A role that `service` takes on, say ec2.amazonaws.com."""
    principal = {"Service": service}
    return _policy([{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}])


def access_log_statements() -> list[Policy]:
    """The load balancers' log service may write below AWSLogs/ of the bucket whose policy this goes into.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    """
    return [
        {
            "Sid": "AccessLogWrite",
            "Effect": "Allow",
            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "/AWSLogs/*",
        }
    ]


def alarm_topic_policy(topic_arn: str) -> Policy:
    """Alarms of the topic's own account may be told on it; a budget tells by e-mail."""
    account = topic_arn.split(":")[4]
    return _policy(
        [
            {
                "Sid": "Alarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ]
    )


def group_arn(region: str, fleet: str) -> str:
    """An Auto Scaling group by its name; the id in the middle and the account are not known before it is made."""
    return f"arn:aws:autoscaling:{region}:*:autoScalingGroup:*:autoScalingGroupName/{fleet}"


def as_json(policy: Policy) -> str:
    """A policy in the one form in which it compares equal to itself."""
    return json.dumps(policy, sort_keys=True)


def _objects(access: NodeAccess, folders: tuple[str, ...]) -> list[str]:
    return [f"{access.bucket_arn}/{folder}/*" for folder in folders]


def _allow(sid: str, actions: list[str], resources: list[str], condition: Policy | None = None) -> Policy:
    statement: Policy = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


def _policy(statements: list[Policy]) -> Policy:
    return {"Version": "2012-10-17", "Statement": statements}
