"""A bucket that nobody but this account reads or writes, and only over TLS."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_aws import s3

from components.lifecycle import LifecycleRule


def private_bucket(
    name: str,
    rules: Sequence[LifecycleRule],
    opts: pulumi.ResourceOptions,
    *,
    force_destroy: bool,
    statements: pulumi.Input[Sequence[dict[str, Any]]] = (),
) -> tuple[s3.Bucket, s3.BucketPolicy]:
    """The bucket `name` and its policy: no public access, no ACLs, encrypted by S3's own keys, versioned, TLS only.

    S3's own keys, because load balancers and flow logs can write under no other without a key policy:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    `statements` are further ones of its policy, see `bucket_policy`: who else may write, say. What lets a service write
    must depend on the returned policy. `opts` are the bucket's; what belongs to it hangs on the same parent.
    """
    bucket = s3.Bucket(name, force_destroy=force_destroy, opts=opts)
    under = pulumi.ResourceOptions(parent=opts.parent)
    blocked = s3.BucketPublicAccessBlock(
        f"{name}-public-access",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=under,
    )
    s3.BucketOwnershipControls(
        f"{name}-ownership",
        bucket=bucket.bucket,
        rule=s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
        opts=under,
    )
    s3.BucketServerSideEncryptionConfiguration(
        f"{name}-encryption",
        bucket=bucket.bucket,
        rules=[
            s3.BucketServerSideEncryptionConfigurationRuleArgs(
                apply_server_side_encryption_by_default=s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                    sse_algorithm="AES256"
                )
            )
        ],
        opts=under,
    )
    versioning = s3.BucketVersioning(
        f"{name}-versioning",
        bucket=bucket.bucket,
        versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
        opts=under,
    )
    s3.BucketLifecycleConfiguration(
        f"{name}-lifecycle",
        bucket=bucket.bucket,
        rules=[_lifecycle(rule) for rule in rules],
        # Rules about versions that are not current mean something only once there are such.
        opts=pulumi.ResourceOptions(parent=opts.parent, depends_on=[versioning]),
    )
    policy = s3.BucketPolicy(
        f"{name}-policy",
        bucket=bucket.bucket,
        policy=pulumi.Output.all(bucket.arn, statements).apply(lambda both: json.dumps(bucket_policy(*both))),
        # S3 refuses two changes of who may do what at one time.
        opts=pulumi.ResourceOptions(parent=opts.parent, depends_on=[blocked]),
    )
    return bucket, policy


def bucket_policy(arn: str, statements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Refuses what does not come over TLS 1.2 or newer, to anybody; then `statements`.

    Their `Resource` is relative to the bucket: "" is the bucket itself, "/logs/*" what lies below logs/.
    """
    everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "OnlyTls", **everything, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Sid": "OnlyModernTls", **everything, "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
            *({**statement, "Resource": f"{arn}{statement['Resource']}"} for statement in statements),
        ],
    }


def _lifecycle(rule: LifecycleRule) -> s3.BucketLifecycleConfigurationRuleArgs:
    return s3.BucketLifecycleConfigurationRuleArgs(
        id=rule.id,
        status="Enabled",
        filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=rule.prefix),
        # Without an age, at least the marks of deleted objects go once nothing is behind them.
        expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=rule.expire)
        if rule.expire
        else s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
        noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=rule.noncurrent
        ),
        abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=1
        ),
    )
