"""Who may write a VPC's flow logs into a bucket, and how long they stay."""

from __future__ import annotations

from typing import Any

from components.lifecycle import LifecycleRule

DAYS = 90
LIFECYCLE = (LifecycleRule("flow-logs", "", DAYS, noncurrent=1),)
_WRITER = {"Service": "delivery.logs.amazonaws.com"}


def delivery_statements(region: str, account: str) -> list[dict[str, Any]]:
    """For logs of this account alone: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html"""
    own = {"aws:SourceAccount": account}
    source = {"ArnLike": {"aws:SourceArn": f"arn:aws:logs:{region}:{account}:*"}}
    return [
        {
            "Sid": "FlowLogsWrite",
            "Effect": "Allow",
            "Principal": _WRITER,
            "Action": "s3:PutObject",
            "Resource": f"/AWSLogs/{account}/*",
            "Condition": {"StringEquals": {**own, "s3:x-amz-acl": "bucket-owner-full-control"}, **source},
        },
        {
            "Sid": "FlowLogsLook",
            "Effect": "Allow",
            "Principal": _WRITER,
            "Action": "s3:GetBucketAcl",
            "Resource": "",
            "Condition": {"StringEquals": own, **source},
        },
    ]
