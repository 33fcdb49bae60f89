"""What a team's state on AWS is made of: names, addresses and policies, as plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tools.state.record import Place

# How long an older version of a state can be brought back, and how many are kept however old.
RECOVERABLE_DAYS = 365
KEPT_VERSIONS = 20
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@dataclass(frozen=True)
class StatePlan:
    """One bucket for all stacks of an account and region, and a key for each stack: who may open one stack's secrets
    need not be able to open another's."""

    account: str
    region: str
    stack: str

    @property
    def bucket(self) -> str:
        return f"indextts2-state-{self.account}-{self.region}"

    @property
    def alias(self) -> str:
        return f"alias/indextts2-{re.sub('[^a-zA-Z0-9_-]', '-', self.stack)}"

    @property
    def place(self) -> Place:
        """The addresses as Pulumi takes them: https://www.pulumi.com/docs/iac/concepts/state-and-backends/"""
        return Place(
            f"s3://{self.bucket}?region={self.region}", f"awskms://{self.alias}?region={self.region}&awssdk=v2"
        )

    @property
    def bucket_policy(self) -> dict[str, Any]:
        """Nothing without TLS 1.2, for anybody. Who may read and write, roles say."""
        arn = f"arn:{partition(self.region)}:s3:::{self.bucket}"
        everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
        return {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "OnlyTls", **everything, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
                {"Sid": "OnlyModernTls", **everything, "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
            ],
        }

    @property
    def lifecycle(self) -> list[dict[str, Any]]:
        """Old versions go one day; the newest of them stay."""
        return [
            {
                "ID": "old-versions",
                "Status": "Enabled",
                "Filter": {"Prefix": ""},
                "NoncurrentVersionExpiration": {
                    "NoncurrentDays": RECOVERABLE_DAYS,
                    "NewerNoncurrentVersions": KEPT_VERSIONS,
                },
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            }
        ]


def partition(region: str) -> str:
    """The part of an ARN that tells AWS's separate clouds apart."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def is_region(text: str) -> bool:
    """Whether this can be the name of a region of AWS."""
    return _REGION.fullmatch(text) is not None
