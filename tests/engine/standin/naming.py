"""Which names are unique in an account, and which the provider makes up when the program gives none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from tests.sdk_schema import Schema

RANDOM_DIGITS = 7

# What must be unique together. Other resources with a `name`: the name, within type and region.
UNIQUE: Mapping[str, tuple[str, ...]] = {
    "aws:s3/bucket:Bucket": ("bucket",),
    "aws:s3/bucketPolicy:BucketPolicy": ("bucket",),
    "aws:s3/bucketVersioning:BucketVersioning": ("bucket",),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("bucket",),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ("bucket",),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("bucket",),
    "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration": ("bucket",),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ("bucket",),
    "aws:sqs/queuePolicy:QueuePolicy": ("queueUrl",),
    "aws:sqs/redrivePolicy:RedrivePolicy": ("queueUrl",),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": ("queueUrl",),
    "aws:ec2/securityGroup:SecurityGroup": ("vpcId", "name"),
    "aws:ec2/subnet:Subnet": ("vpcId", "cidrBlock"),
    "aws:ec2/route:Route": ("routeTableId", "destinationCidrBlock"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ("subnetId",),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ("vpcId",),
    "aws:iam/rolePolicy:RolePolicy": ("role", "name"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("role", "policyArn"),
    "aws:autoscaling/policy:Policy": ("autoscalingGroupName", "name"),
    "aws:autoscaling/schedule:Schedule": ("autoscalingGroupName", "scheduledActionName"),
    "aws:autoscaling/lifecycleHook:LifecycleHook": ("autoscalingGroupName", "name"),
    "aws:lb/listener:Listener": ("loadBalancerArn", "port"),
    "aws:route53/record:Record": ("zoneId", "name", "type"),
    "aws:cloudwatch/dashboard:Dashboard": ("dashboardName",),
}
# One namespace for the whole account, whatever the region; buckets' names even for the whole world.
GLOBAL_PREFIXES = ("aws:iam/", "aws:route53/", "aws:budgets/", "aws:s3/bucket:Bucket")

# The property that the provider makes a name for, where it is not `name`.
AUTO_NAMED: Mapping[str, str | None] = {
    "aws:s3/bucket:Bucket": "bucket",
    # These have a name of their own kind, or none that is made up.
    "aws:route53/record:Record": None,
}
# The vendor's limits: the provider refuses to make a longer name.
LONGEST: Mapping[str, int] = {
    "aws:lb/loadBalancer:LoadBalancer": 32,
    "aws:lb/targetGroup:TargetGroup": 32,
    "aws:s3/bucket:Bucket": 63,
    "aws:iam/role:Role": 64,
    "aws:sqs/queue:Queue": 80,
    "aws:iam/instanceProfile:InstanceProfile": 128,
    "aws:ec2/launchTemplate:LaunchTemplate": 128,
    "aws:ec2/securityGroup:SecurityGroup": 255,
    "aws:autoscaling/group:Group": 255,
}


def named_property(schema: Schema) -> str | None:
    """The property whose value the provider makes up when it is left out, or None."""
    name = AUTO_NAMED.get(schema.token, "name")
    known = schema.inputs.get(name) if name else None
    return name if known and known.type is str and not known.required else None


def made_up(schema: Schema, logical_name: str) -> str:
    """A name as the provider makes them: the resource's logical name and random digits. Raises ValueError."""
    length = len(logical_name) + 1 + RANDOM_DIGITS
    if length > LONGEST.get(schema.token, length):
        raise ValueError(f"the name {logical_name}-{'x' * RANDOM_DIGITS} is longer than {LONGEST[schema.token]}")
    return f"{logical_name}-{secrets.token_hex(4)[:RANDOM_DIGITS]}"


def unique_key(schema: Schema, inputs: Mapping[str, Any], region: str) -> tuple[Any, ...] | None:
    """What no second resource may have, or None where duplicates are allowed."""
    properties = UNIQUE.get(schema.token, ("name",) if "name" in schema.inputs else ())
    values = tuple(inputs.get(name) for name in properties)
    if not values or any(value is None for value in values):
        return None
    place = "" if schema.token.startswith(GLOBAL_PREFIXES) else region
    return schema.token, place, *values


def name_in_the_cloud(schema: Schema, inputs: Mapping[str, Any], logical_name: str, number: int) -> str:
    """What the resource is called where its vendor lists it; a made one where it has no name."""
    if schema.token == "aws:s3/bucket:Bucket":
        return inputs["bucket"]
    key = named_property(schema) or "name"
    name = inputs.get(key)
    return name if isinstance(name, str) else f"{logical_name}-{number}"
