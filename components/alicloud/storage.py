"""The object store on Alibaba Cloud."""

from __future__ import annotations

import pulumi
from pulumi_alicloud import oss

from components import contracts
from components.alicloud.bucket import private_bucket
from components.contracts import ObjectStoreArgs
from components.lifecycle import LifecycleRule, lifecycle
from components.settings import AlicloudSettings


class ObjectStore(contracts.ObjectStore):
    """- A bucket of access logs: who fetched which voice, kept as long as other logs.
    - The bucket, private (see bucket.py), with a lifecycle per
      prefix, so that results and logs do not pile up, and CORS for reading, because a browser plays results by
      presigned URLs.
    """

    def __init__(self, name: str, args: ObjectStoreArgs[AlicloudSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:alicloud:ObjectStore", name, {}, opts)
        settings = args.settings
        logs = private_bucket(
            f"{name}-access-logs",
            settings,
            [LifecycleRule("access-logs", "", settings.storage.log_days, noncurrent=1)],
            pulumi.ResourceOptions(parent=self),
        )
        objects = private_bucket(
            f"{name}-objects",
            settings,
            lifecycle(settings.storage),
            pulumi.ResourceOptions(parent=self, protect=settings.protect),
            logs=logs,
            cors=oss.BucketCorsRuleArgs(
                # The URL itself is the permission: whoever holds it may fetch, from whatever page.
                allowed_origins=["*"],
                allowed_methods=["GET", "HEAD"],
                allowed_headers=["Range"],
                expose_headers=["Content-Length", "Content-Range", "ETag"],
                max_age_seconds=3600,
            ),
        )
        self.bucket = objects.bucket
        self.url = objects.bucket.apply(lambda bucket: store_url(bucket, settings.region))
        self.register_outputs({"bucket": self.bucket, "url": self.url})


def store_url(bucket: str, region: str) -> str:
    """Where a node finds the bucket: by its endpoint inside the cloud, past NAT and at no charge."""
    return f"oss://{bucket}?region={region}&internal=true"
