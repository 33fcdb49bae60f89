"""The explicit providers under which every part on AWS is made."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.settings import AwsSettings


def providers(settings: AwsSettings) -> list[pulumi.ProviderResource]:
    """One provider, in the stack's region. It refuses, at preview, every account but `account_id` if that is given."""
    _stay_in(settings.region)
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


def _stay_in(region: str) -> None:
    """Every regional resource names its region itself.

    The provider's region alone moves nothing that is there: a resource keeps the region in which it was made until its
    own `region` changes, which replaces it:
    https://www.pulumi.com/registry/packages/aws/how-to-guides/aws-enhanced-region-support/
    """

    def with_region(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        if not args.custom or not regional(args.type_):
            return None
        return pulumi.ResourceTransformResult(props={**args.props, "region": region}, opts=args.opts)

    pulumi.runtime.register_resource_transform(with_region)


def regional(kind: str) -> bool:
    """Whether resources of this type live in one region."""
    return kind.startswith("aws:") and not kind.startswith(("aws:iam/", "aws:route53/", "aws:budgets/"))


def all_tags(settings: AwsSettings, stack: str) -> dict[str, str]:
    """The tags of everything. What a group starts (instances, volumes) does not get a provider's default tags."""
    return {**settings.tags, "project": "indextts2", "stack": stack}
