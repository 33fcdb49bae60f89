"""Buckets: nobody but the account reads or writes them."""

from __future__ import annotations

from collections.abc import Iterator

from rules.rule import UNKNOWN, Resource, ResourceRule, Stack, StackRule

_AWS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_AWS_BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_OSS_BLOCK = "alicloud:oss/bucketPublicAccessBlock:BucketPublicAccessBlock"
_OSS_BUCKET = "alicloud:oss/bucket:Bucket"
# Resources with an `acl` of a bucket.
_ACLS = (
    *_AWS_BUCKETS,
    "aws:s3/bucketAcl:BucketAcl",
    "aws:s3/bucketAclV2:BucketAclV2",
    _OSS_BUCKET,
    "alicloud:oss/bucketAcl:BucketAcl",
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl and
# https://www.alibabacloud.com/help/en/oss/user-guide/bucket-acl
_PRIVATE_ACLS = ("private", "log-delivery-write", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control")
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def public_bucket(resource: Resource, _stack: str) -> Iterator[str]:
    """An ACL or an access block that lets the public in."""
    acl = resource.get("acl")
    if resource.type in _ACLS and acl and acl not in _PRIVATE_ACLS:
        yield f"acl is {acl!r}, which opens the bucket to others; use private"
    if resource.type == _AWS_BLOCK:
        for name in _BLOCKS:
            if resource.get(name) is not UNKNOWN and resource.get(name) is not True:
                yield f"{name} is {resource.get(name)!r}; set it to true"
    if resource.type == _OSS_BLOCK and resource.get("blockPublicAccess") in (False, None):
        yield f"blockPublicAccess is {resource.get('blockPublicAccess')!r}; set it to true"


def unguarded_bucket(stack: Stack) -> Iterator[tuple[Resource, str]]:
    """A bucket that no access block is made for."""
    for buckets, block in ((_AWS_BUCKETS, _AWS_BLOCK), ((_OSS_BUCKET,), _OSS_BLOCK)):
        blocks = list(stack.of_type(block))
        guarded = {urn for one in blocks for urn in one.sources.get("bucket", ())}
        names = {one.get("bucket") for one in blocks if isinstance(one.get("bucket"), str)}
        for bucket in stack.of_type(*buckets):
            if bucket.urn not in guarded and bucket.get("bucket") not in names:
                yield bucket, "nothing blocks public access to this bucket; make a BucketPublicAccessBlock for it"


PUBLIC_BUCKET = ResourceRule("public-bucket", "No bucket is open to the public.", public_bucket)
UNGUARDED_BUCKET = StackRule("unguarded-bucket", "Public access to every bucket is blocked.", unguarded_bucket)
