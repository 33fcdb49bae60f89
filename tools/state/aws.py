"""Makes what a team's state on AWS needs, or brings what is there to what it should be."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.failure import SetupError
from tools.progress import step
from tools.state.plan import StatePlan, is_region


def ensure(stack: str, region: str) -> StatePlan:
    """The bucket and the key, made or mended. Running it again changes nothing. Raises SetupError."""
    if not is_region(region):
        raise SetupError(f"--region {region!r} is no region of AWS; give one like us-west-2")
    try:
        account = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
        plan = StatePlan(account, region, stack)
        with step(f"State bucket {plan.bucket}") as current:
            current.done(_bucket(boto3.client("s3", region_name=region), plan))
        with step(f"Key {plan.alias}") as current:
            current.done(_key(boto3.client("kms", region_name=region), plan))
    except (ClientError, BotoCoreError) as error:
        raise SetupError(f"AWS refuses: {error}. docs/state.md lists what the credentials must allow") from error
    return plan


def _bucket(s3: Any, plan: StatePlan) -> str:
    """Private, versioned, encrypted, over TLS alone. Every call names the owner that is expected: a bucket of this name
    that somebody else made first would take the state."""
    ours = {"Bucket": plan.bucket, "ExpectedBucketOwner": plan.account}
    made = not _exists(s3, ours)
    if made:
        where = {} if plan.region == "us-east-1" else {"LocationConstraint": plan.region}
        s3.create_bucket(
            Bucket=plan.bucket,
            ObjectOwnership="BucketOwnerEnforced",
            **({"CreateBucketConfiguration": where} if where else {}),
        )
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(**ours, PublicAccessBlockConfiguration=dict.fromkeys(names, True))
    s3.put_bucket_versioning(**ours, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(**ours, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_policy(**ours, Policy=json.dumps(plan.bucket_policy))
    s3.put_bucket_lifecycle_configuration(**ours, LifecycleConfiguration={"Rules": plan.lifecycle})
    return "made" if made else "there"


def _exists(s3: Any, ours: dict[str, str]) -> bool:
    try:
        s3.head_bucket(**ours)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return False
        if status == 403:
            raise SetupError(
                f"the bucket {ours['Bucket']} is not to be had: it is another account's, or these credentials may not "
                "look at it (s3:ListBucket)"
            ) from error
        raise
    return True


def _key(kms: Any, plan: StatePlan) -> str:
    """A key that changes by itself once a year, found by its alias."""
    for page in kms.get_paginator("list_aliases").paginate():
        for alias in page["Aliases"]:
            if alias["AliasName"] == plan.alias and alias.get("TargetKeyId"):
                kms.enable_key_rotation(KeyId=alias["TargetKeyId"])
                return "there"
    tags = [{"TagKey": "project", "TagValue": "indextts2"}, {"TagKey": "stack", "TagValue": plan.stack}]
    made = kms.create_key(Description=f"Secrets of the IndexTTS2 stack {plan.stack}", Tags=tags)
    key = made["KeyMetadata"]["KeyId"]
    kms.enable_key_rotation(KeyId=key)
    kms.create_alias(AliasName=plan.alias, TargetKeyId=key)
    return "made"
