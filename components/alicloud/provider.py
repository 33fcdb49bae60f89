"""The explicit provider under which every part on Alibaba Cloud is made."""

from __future__ import annotations

import pulumi
import pulumi_alicloud as alicloud

from components.settings import AlicloudSettings


def providers(settings: AlicloudSettings) -> list[pulumi.ProviderResource]:
    """One provider, for the stack's region.

    The region is in its name: what was made in another region can then still be deleted through the provider that made
    it, for a resource does not know its region itself.
    """
    _move_with(settings.region)
    return [
        alicloud.Provider(
            f"alicloud-{settings.region}",
            region=settings.region,
            # Signatures of the first version are not taken from new accounts and for new buckets:
            # https://www.alibabacloud.com/help/en/oss/developer-reference/guidelines-for-upgrading-v1-signatures-to-v4-signatures
            sign_version=alicloud.ProviderSignVersionArgs(oss="v4"),
        )
    ]


def _move_with(region: str) -> None:
    """Every resource is made anew where the region becomes another.

    The provider alone moves nothing that is there: its region is no reason for the engine to replace what it manages,
    and a resource would be looked for in a region where it never was.
    """

    def with_region(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not bound_to_region(args.type_):
            return None
        moving = pulumi.ResourceOptions(replacement_trigger=region)
        return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, moving))

    pulumi.runtime.register_stack_transformation(with_region)


def bound_to_region(kind: str) -> bool:
    """Whether resources of this type must not outlive a change of region.

    A DNS record is one of the world: it is pointed to the new load balancer in place.
    """
    return kind.startswith("alicloud:") and not kind.startswith("alicloud:dns/")


def all_tags(settings: AlicloudSettings, stack: str) -> dict[str, str]:
    """The tags of everything that takes tags: the provider has no default ones."""
    return {**settings.tags, "project": "indextts2", "stack": stack}
