"""The explicit providers under which every part on AWS is made."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.settings import AwsSettings


def providers(settings: AwsSettings) -> list[pulumi.ProviderResource]:
    """One provider, in the stack's region. It refuses, at preview, every account but `account_id` if that is given."""
    accounts = [settings.account_id] if settings.account_id else None
    tags = all_tags(settings, pulumi.get_stack())
    return [
        aws.Provider(
            "aws",
            region=settings.region,
            allowed_account_ids=accounts,
            default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
        )
    ]


def all_tags(settings: AwsSettings, stack: str) -> dict[str, str]:
    """The tags of everything. What a group starts (instances, volumes) does not get a provider's default tags."""
    return {**settings.tags, "project": "indextts2", "stack": stack}
