"""Policies of resources (buckets, queues, topics, keys, secrets, images): nobody is let in whoever he may be."""

from __future__ import annotations

from collections.abc import Iterator

from rules.policy_documents import Allowed, UnreadableError, allowed
from rules.rule import UNKNOWN, Resource, ResourceRule

# Type -> the property with the document.
_POLICIES = {
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:s3/bucket:Bucket": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
    "aws:sqs/queue:Queue": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sns/topic:Topic": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:kms/key:Key": "policy",
    "aws:kms/keyPolicy:KeyPolicy": "policy",
    "aws:secretsmanager/secret:Secret": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
    # who may take a role on
    "aws:iam/role:Role": "assumeRolePolicy",
    "alicloud:oss/bucketPolicy:BucketPolicy": "policy",
    "alicloud:oss/bucket:Bucket": "policy",
    "alicloud:ram/role:Role": "assumeRolePolicyDocument",
}
# A condition on one of these names who or whence: the statement is then not for anybody.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
_NARROWING = frozenset(
    name.lower()
    for name in (
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceOwner",
        "aws:SourceVpc",
        "aws:SourceVpce",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalOrgID",
        "kms:CallerAccount",
        "acs:SourceVpc",
        "acs:SourceAccount",
    )
)
_EXACT_OPERATORS = ("stringequals", "arnequals", "arnlike", "stringlike", "stringequalsignorecase")


def public_policy(resource: Resource, _stack: str) -> Iterator[str]:
    """A statement that allows anybody something, without a condition that says who."""
    name = _POLICIES.get(resource.type)
    document = resource.get(name) if name else None
    if document is None or document is UNKNOWN:
        return
    try:
        open_ones = [one for one in allowed(document) if one.everyone and not _narrowed(one)]
    except UnreadableError as error:
        yield f"{name} {error}"
        return
    for one in open_ones:
        what = "everything but some actions" if one.actions is None else ", ".join(one.actions)
        yield f"{name} allows anybody {what}; name the principals, or add a condition on the account"


def _narrowed(statement: Allowed) -> bool:
    return any(
        operator.lower().partition(":")[2] in _EXACT_OPERATORS or operator.lower() in _EXACT_OPERATORS
        for operator, keys in statement.condition.items()
        for key, values in keys.items()
        if key.lower() in _NARROWING and not _anything(values)
    )


def _anything(values: object) -> bool:
    return any(str(value).strip() in ("", "*") for value in (values if isinstance(values, list) else [values]))


PUBLIC_POLICY = ResourceRule("public-policy", "No resource's policy lets anybody in.", public_policy)
