"""What every instance of the fleet is: its role and its launch template."""

from __future__ import annotations

import pulumi
from pulumi_alicloud import ecs, ram

from components.alicloud.names import resource_name
from components.alicloud.provider import all_tags
from components.alicloud.ram import NodeAccess, Policy, as_json, node_policy, trust_policy
from components.alicloud.user_data import Boot, user_data
from components.settings import AlicloudSettings

# Mbit/s out of a node with an address of its own; paid by traffic, it costs only what it carries.
PUBLIC_BANDWIDTH = 100


def node_role(
    name: str, settings: AlicloudSettings, access: pulumi.Output[NodeAccess], opts: pulumi.ResourceOptions
) -> tuple[ram.Role, ram.RolePolicyAttachment]:
    """What instances may do; the template carries the role to them."""
    role = ram.Role(
        f"{name}-node",
        role_name=resource_name(settings, pulumi.get_stack(), "node"),
        description="A node of the speech service",
        assume_role_policy_document=as_json(trust_policy("ecs.aliyuncs.com")),
        force=True,
        tags=all_tags(settings, pulumi.get_stack()),
        opts=opts,
    )
    return role, allow(f"{name}-node", settings, "node", role, access.apply(node_policy), opts)


def allow(
    name: str,
    settings: AlicloudSettings,
    label: str,
    role: ram.Role,
    policy: pulumi.Output[Policy],
    opts: pulumi.ResourceOptions,
) -> ram.RolePolicyAttachment:
    """A policy of the stack's own, and that `role` has it."""
    made = ram.Policy(
        name,
        policy_name=resource_name(settings, pulumi.get_stack(), label),
        policy_document=policy.apply(as_json),
        # A policy has five versions; an update needs room for its own.
        rotate_strategy="DeleteOldestNonDefaultVersionWhenLimitExceeded",
        force=True,
        tags=all_tags(settings, pulumi.get_stack()),
        opts=opts,
    )
    return ram.RolePolicyAttachment(
        name, role_name=role.role_name, policy_name=made.policy_name, policy_type="Custom", opts=opts
    )


def launch_template(
    name: str,
    settings: AlicloudSettings,
    *,
    boot: pulumi.Output[Boot],
    role: pulumi.Input[str],
    security_group: pulumi.Input[str],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> ecs.EcsLaunchTemplate:
    """A driver-ready GPU image with an encrypted disk, metadata by session token only, and no way in but the port.

    Nodes of a network without NAT have an address of their own, with nothing inbound.
    """
    assert settings.system_image is not None
    private = settings.network.private or settings.network.vpc_id is not None
    return ecs.EcsLaunchTemplate(
        f"{name}-node",
        launch_template_name=resource_name(settings, pulumi.get_stack(), "node"),
        image_id=settings.system_image,
        instance_type=settings.instance_types[0],
        instance_charge_type="PostPaid",
        # Of the nodes above the base on demand; the group says how many those are.
        spot_strategy="SpotAsPriceGo" if settings.nodes.spot else "NoSpot",
        # No hour in which a spot instance is safe: it is paid for dearly, and a node that must go drains.
        spot_duration="0" if settings.nodes.spot else None,
        ram_role_name=role,
        security_group_id=security_group,
        network_type="vpc",
        internet_charge_type=None if private else "PayByTraffic",
        internet_max_bandwidth_out=0 if private else PUBLIC_BANDWIDTH,
        system_disk=ecs.EcsLaunchTemplateSystemDiskArgs(
            category=settings.disk.category,
            performance_level=settings.disk.level,
            size=settings.disk.gib,
            encrypted=True,
            delete_with_instance=True,
        ),
        http_endpoint="enabled",
        http_tokens="required",
        # One more hop than the default of 1, for a container takes one.
        http_put_response_hop_limit=2,
        security_enhancement_strategy="Active",
        user_data=boot.apply(user_data),
        update_default_version_number=True,
        tags=tags,
        template_tags=all_tags(settings, pulumi.get_stack()),
        opts=opts,
    )
