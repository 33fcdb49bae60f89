"""A bucket that nobody but this account reads or writes, and only over TLS."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_alicloud import oss

from components.alicloud.names import resource_name
from components.alicloud.provider import all_tags
from components.lifecycle import LifecycleRule
from components.settings import AlicloudSettings

MODERN_TLS = ("TLSv1.2", "TLSv1.3")


def private_bucket(
    name: str,
    settings: AlicloudSettings,
    rules: Sequence[LifecycleRule],
    opts: pulumi.ResourceOptions,
    *,
    logs: oss.Bucket | None = None,
    cors: oss.BucketCorsRuleArgs | None = None,
) -> oss.Bucket:
    """The bucket `name`: private, public access blocked, encrypted by OSS's own keys, TLS 1.2 or newer only.

    Not versioned: in a bucket that is, or was, OSS does not heed x-oss-forbid-overwrite, by which the servers see to it
    that each job has one result and each voice's name one owner
    (https://www.alibabacloud.com/help/en/oss/developer-reference/putobject).

    `logs`: the bucket of its access log. What has an argument of the bucket's own is one: a bucket reads back all of
    its properties, and would on a refresh take away what a resource beside it has set. `opts` are the bucket's; what
    belongs to it hangs on the same parent.
    """
    label = name.partition("-")[2]
    bucket = oss.Bucket(
        name,
        bucket=resource_name(settings, pulumi.get_stack(), label),
        force_destroy=settings.storage.force_destroy,
        redundancy_type="LRS",
        storage_class="Standard",
        server_side_encryption_rule=oss.BucketServerSideEncryptionRuleArgs(sse_algorithm="AES256"),
        lifecycle_rules=[_lifecycle(rule) for rule in rules],
        # The rule for everything covers the prefixes of the others; the earliest time of all counts.
        lifecycle_rule_allow_same_action_overlap=True,
        logging=oss.BucketLoggingArgs(target_bucket=logs.bucket, target_prefix=f"{label}/") if logs else None,
        cors_rules=[cors] if cors else None,
        tags=all_tags(settings, pulumi.get_stack()),
        opts=opts,
    )
    under = pulumi.ResourceOptions(parent=opts.parent)
    oss.BucketAcl(f"{name}-acl", bucket=bucket.bucket, acl="private", opts=under)
    oss.BucketPublicAccessBlock(f"{name}-public-access", bucket=bucket.bucket, block_public_access=True, opts=under)
    oss.BucketHttpsConfig(f"{name}-https", bucket=bucket.bucket, enable=True, tls_versions=list(MODERN_TLS), opts=under)
    return bucket


def _lifecycle(rule: LifecycleRule) -> oss.BucketLifecycleRuleArgs:
    return oss.BucketLifecycleRuleArgs(
        id=rule.id,
        enabled=True,
        prefix=rule.prefix,
        expirations=[oss.BucketLifecycleRuleExpirationArgs(days=rule.expire)] if rule.expire else None,
        abort_multipart_uploads=[oss.BucketLifecycleRuleAbortMultipartUploadArgs(days=1)],
    )
