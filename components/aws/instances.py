"""What every instance of the fleet is: its role, its log and its launch template."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.aws.iam import NodeAccess, as_json, node_policy, trust_policy
from components.aws.user_data import Boot, user_data

# The GPU images' root device and what is left on it beside the system: the image, where there is no local disk.
ROOT_DEVICE = "/dev/sda1"
ROOT_GIB = 120
# gp3; above this a GPU instance of four vCPUs cannot read (g4dn.xlarge: 119 MB/s, 437 in bursts).
ROOT_THROUGHPUT_MIB = 437
# Blocks of a new volume come from S3 at first use, slowly, unless they are fetched ahead at this rate (100-300 MiB/s):
# https://docs.aws.amazon.com/ebs/latest/userguide/initalize-volume.html
ROOT_INITIALIZATION_MIB = 300
# How long CloudWatch can be told to keep a log, days:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTIONS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


def retention(days: int) -> int:
    """The shortest time that CloudWatch can keep a log and that is not shorter than `days`, 1-3653."""
    return next(allowed for allowed in RETENTIONS if allowed >= days)


def log_group(name: str, days: int, opts: pulumi.ResourceOptions) -> aws.cloudwatch.LogGroup:
    """Where the servers and nodes write; made before them, for they may not make one."""
    return aws.cloudwatch.LogGroup(f"{name}-nodes", retention_in_days=retention(days), opts=opts)


def node_role(
    name: str, access: pulumi.Output[NodeAccess], opts: pulumi.ResourceOptions
) -> tuple[aws.iam.InstanceProfile, aws.iam.RolePolicy]:
    """What instances may do; the profile carries the role to them."""
    role = aws.iam.Role(
        f"{name}-node",
        description="A node of the speech service",
        assume_role_policy=as_json(trust_policy("ec2.amazonaws.com")),
        opts=opts,
    )
    policy = aws.iam.RolePolicy(
        f"{name}-node", role=role.id, policy=access.apply(lambda found: as_json(node_policy(found))), opts=opts
    )
    return aws.iam.InstanceProfile(f"{name}-node", role=role.name, opts=opts), policy


def launch_template(
    name: str,
    *,
    ami: str,
    boot: pulumi.Output[Boot],
    profile_arn: pulumi.Input[str],
    security_group: pulumi.Input[str],
    public_address: bool | None,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.ec2.LaunchTemplate:
    """A driver-ready GPU image with an encrypted disk, metadata by session token only, and no way in but the port.

    `public_address`: None leaves it to the subnet.
    """
    address = None if public_address is None else str(public_address).lower()
    return aws.ec2.LaunchTemplate(
        f"{name}-node",
        image_id=ami,
        user_data=boot.apply(user_data),
        update_default_version=True,
        instance_initiated_shutdown_behavior="terminate",
        iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(arn=profile_arn),
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled",
            http_tokens="required",
            # One more hop than the default of 1, for a container takes one.
            http_put_response_hop_limit=2,
        ),
        network_interfaces=[
            aws.ec2.LaunchTemplateNetworkInterfaceArgs(
                device_index=0,
                associate_public_ip_address=address,
                security_groups=[security_group],
                delete_on_termination="true",
            )
        ],
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name=ROOT_DEVICE,
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_type="gp3",
                    volume_size=ROOT_GIB,
                    throughput=ROOT_THROUGHPUT_MIB,
                    volume_initialization_rate=ROOT_INITIALIZATION_MIB,
                    encrypted="true",
                    delete_on_termination="true",
                ),
            )
        ],
        monitoring=aws.ec2.LaunchTemplateMonitoringArgs(enabled=True),
        # The provider's default tags do not reach what an instance brings along.
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
            for kind in ("instance", "volume", "network-interface")
        ],
        opts=opts,
    )
