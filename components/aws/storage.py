"""The object store on AWS."""

from __future__ import annotations

import pulumi
from pulumi_aws import s3

from components import contracts
from components.aws.bucket import private_bucket
from components.contracts import ObjectStoreArgs
from components.lifecycle import lifecycle
from components.settings import AwsSettings


class ObjectStore(contracts.ObjectStore):
    """- An S3 bucket, private and versioned (see bucket.py), because voices must outlive a mistake.
    - A lifecycle per prefix, so that results and logs do not pile up.
    - CORS for reading, because a browser plays results by presigned URLs.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: ObjectStoreArgs[AwsSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:aws:ObjectStore", name, {}, opts)
        settings = args.settings
        bucket, _policy = private_bucket(
            f"{name}-objects",
            lifecycle(settings.storage),
            pulumi.ResourceOptions(parent=self, protect=settings.protect),
            force_destroy=settings.storage.force_destroy,
        )
        s3.BucketCorsConfiguration(
            f"{name}-objects-cors",
            bucket=bucket.bucket,
            cors_rules=[
                s3.BucketCorsConfigurationCorsRuleArgs(
                    # The URL itself is the permission: whoever holds it may fetch, from whatever page.
                    allowed_origins=["*"],
                    allowed_methods=["GET", "HEAD"],
                    allowed_headers=["Range"],
                    expose_headers=["Content-Length", "Content-Range", "ETag"],
                    max_age_seconds=3600,
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.bucket = bucket.bucket
        self.arn = bucket.arn
        self.url = pulumi.Output.concat("s3://", bucket.bucket)
        self.register_outputs({"bucket": self.bucket, "url": self.url})
