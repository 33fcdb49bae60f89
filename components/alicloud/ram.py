"""Who may do what: the policies of nodes, as plain data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Policy = dict[str, Any]

# What the server does with each folder of the bucket.
READ_FOLDERS = ("voices", "uploads", "results", "jobs", "clips", "usage", "audit")
WRITE_FOLDERS = ("voices", "uploads", "results", "jobs", "clips", "logs", "usage", "audit")
DELETE_FOLDERS = ("voices", "uploads", "results", "jobs", "clips")


@dataclass(frozen=True)
class NodeAccess:
    """What a node's role is about."""

    region: str
    account: str
    bucket: str
    queue: str
    dead_letters: str
    topic: str
    keys_kind: str
    """`parameter` or `kms`."""
    keys_name: str
    keys_key: str | None
    """Of a KMS secret, the ARN of the key that encrypts it."""
    registry_instance: str | None
    """Of an Enterprise registry, the instance."""
    registry_repository: str | None
    """`NAMESPACE/REPOSITORY` there; None: whatever the instance has."""
    registry_password: str | None
    """The encrypted parameter with another registry's password."""
    weights: str | None
    """The folder below weights/ that a node reads; None for an engine without weights."""
    may_fill: bool
    """Whether a node writes that folder too, where the bucket has none yet."""


def node_policy(access: NodeAccess) -> Policy:
    """Every call that a node makes, on what it makes it, and nothing else; but for its own group's, see below."""
    weights = (f"weights/{access.weights}",) if access.weights else ()
    statements = [
        *_secrets(access),
        _allow(["oss:GetObject"], _objects(access, (*READ_FOLDERS, *weights))),
        _allow(
            ["oss:PutObject", "oss:AbortMultipartUpload"],
            _objects(access, (*WRITE_FOLDERS, *(weights if access.may_fill else ()))),
        ),
        _allow(["oss:DeleteObject"], _objects(access, DELETE_FOLDERS)),
        # Of the whole bucket: without this right, OSS says of an object that is not there that it may not be read.
        _allow(["oss:ListObjects"], [f"acs:oss:*:*:{access.bucket}"]),
        _allow(["mns:SendMessage"], [f"{_queue(access, access.queue)}/messages"]),
        # Dead jobs too: an administrator of the service lists them and puts them back into the queue.
        _allow(
            ["mns:ReceiveMessage", "mns:DeleteMessage", "mns:ChangeMessageVisibility"],
            [f"{_queue(access, name)}/messages" for name in (access.queue, access.dead_letters)],
        ),
        _allow(["mns:GetQueueAttributes"], [_queue(access, access.queue), _queue(access, access.dead_letters)]),
        _allow(
            ["mns:PublishMessage"],
            [f"acs:mns:{access.region}:{access.account}:/topics/{access.topic}/messages"],
        ),
        # This call knows no resources.
        _allow(["cms:PutCustomMetric"], ["*"]),
        # Of every group: which one its own is, a node has to ask.
        _allow(
            [
                "ess:DescribeScalingInstances",
                "ess:DescribeScalingGroups",
                "ess:DescribeScalingActivities",
                "ess:DescribeLifecycleActions",
            ],
            [f"acs:ess:{access.region}:{access.account}:scalinggroup/*"],
        ),
        *_registry(access),
    ]
    return _policy(statements)


def group_policy(region: str, account: str, group: str) -> Policy:
    """What a node asks of its own group: to be let in and go, and for one more when it is outdated itself."""
    return _policy(
        [
            _allow(
                [
                    "ess:CompleteLifecycleAction",
                    "ess:ScaleWithAdjustment",
                    "ess:RemoveInstances",
                    "ess:SetInstanceHealth",
                ],
                [f"acs:ess:{region}:{account}:scalinggroup/{group}"],
            )
        ]
    )


def trust_policy(service: str) -> Policy:
    """A role that `service` takes on, say ecs.aliyuncs.com."""
    return _policy([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": [service]}}])


def as_json(policy: Policy) -> str:
    """A policy in the one form in which it compares equal to itself."""
    return json.dumps(policy, sort_keys=True)


def _secrets(access: NodeAccess) -> list[Policy]:
    own = f"{access.region}:{access.account}"
    if access.keys_kind == "kms":
        statements = [_allow(["kms:GetSecretValue"], [f"acs:kms:{own}:secret/{access.keys_name}"])]
        if access.keys_key:
            statements.append(_allow(["kms:Decrypt"], [access.keys_key]))
    else:
        statements = [_parameter(own, access.keys_name)]
    return statements + ([_parameter(own, access.registry_password)] if access.registry_password else [])


def _parameter(own: str, name: str) -> Policy:
    """An encrypted parameter, which OOS keeps as a secret of KMS:
    https://www.alibabacloud.com/help/en/oos/user-guide/encryption-parameters"""
    return _allow(
        ["oos:GetSecretParameter", "kms:GetSecretValue"],
        [f"acs:oos:{own}:secretparameter/{name}", f"acs:kms:{own}:secret/oos/{name}"],
    )


def _registry(access: NodeAccess) -> list[Policy]:
    if not access.registry_instance:
        return []
    repositories = f"{access.registry_instance}/{access.registry_repository or '*'}"
    return [
        # https://www.alibabacloud.com/help/en/acr/user-guide/ram-authentication-rules
        _allow(
            ["cr:GetAuthorizationToken"],
            [f"acs:cr:{access.region}:{access.account}:instance/{access.registry_instance}"],
        ),
        _allow(["cr:PullRepository"], [f"acs:cr:{access.region}:{access.account}:repository/{repositories}"]),
    ]


def _queue(access: NodeAccess, name: str) -> str:
    return f"acs:mns:{access.region}:{access.account}:/queues/{name}"


def _objects(access: NodeAccess, folders: tuple[str, ...]) -> list[str]:
    return [f"acs:oss:*:*:{access.bucket}/{folder}/*" for folder in folders]


def _allow(actions: list[str], resources: list[str], condition: Policy | None = None) -> Policy:
    statement: Policy = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


def _policy(statements: list[Policy]) -> Policy:
    return {"Version": "1", "Statement": statements}
