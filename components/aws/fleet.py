"""The nodes on AWS: GPU instances of an Auto Scaling group."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws
from pulumi_aws.autoscaling import (
    GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs as SpecificationArgs,
)
from pulumi_aws.autoscaling import Metric

from components import contracts
from components.aws import scaling, schedule
from components.aws.iam import NodeAccess
from components.aws.image import ServerImage
from components.aws.instances import launch_template, log_group, node_role
from components.aws.network import Network
from components.aws.provider import all_tags
from components.aws.queue import JobQueue
from components.aws.secrets import ApiKeys
from components.aws.storage import ObjectStore
from components.aws.timing import (
    COLD_START_SECONDS,
    TERMINATION_HOOK_SECONDS,
    USUAL_COLD_START_SECONDS,
    grace_seconds,
)
from components.aws.user_data import Boot
from components.contracts import GpuFleetArgs
from components.node_weights import may_fill
from components.server_environment import ServerUrls, public_url
from components.settings import AwsSettings

DRAIN_HOOK = "drain"
# Counts of the group that scaling and alarms read; AWS reports them free of charge, but only when asked to.
GROUP_METRICS = [Metric.GROUP_DESIRED_CAPACITY, Metric.GROUP_IN_SERVICE_INSTANCES]


class GpuFleet(contracts.GpuFleet):
    """- A log group, a role with what nodes call and no more, and a launch template.
    - The group: instance types in the order of the settings, on demand first and spot above, at the pools that are
      least likely to be taken back; it replaces before it takes away, and rolls a change back that does not come up.
    - A hook that lets a node finish what it speaks before it goes.
    - The policy that follows demand, the steps that start the first node and release idle ones, and the schedule.
    """

    def __init__(self, name: str, args: GpuFleetArgs[AwsSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:aws:GpuFleet", name, {}, opts)
        settings = args.settings
        network, store, queue, keys, image = args.network, args.store, args.queue, args.keys, args.image
        assert isinstance(network, Network)
        assert isinstance(store, ObjectStore)
        assert isinstance(queue, JobQueue)
        assert isinstance(keys, ApiKeys)
        assert isinstance(image, ServerImage)
        assert settings.ami is not None
        child = pulumi.ResourceOptions(parent=self)
        self.fleet = fleet_name(pulumi.get_project(), pulumi.get_stack(), settings.region)

        logs = log_group(name, settings.storage.log_days, child)
        access = pulumi.Output.all(
            region=settings.region,
            fleet=self.fleet,
            bucket_arn=store.arn,
            queue_arn=queue.arn,
            dead_letter_arn=queue.dead_letter_arn,
            topic_arn=queue.topic_arn,
            keys_arn=keys.arn,
            log_group_arn=logs.arn,
            repository_arns=image.repository_arns,
            weights=settings.weights.name,
            may_fill=may_fill(settings.weights),
        ).apply(lambda values: NodeAccess(**values))
        profile, policy = node_role(name, access, child)
        boot = pulumi.Output.all(
            fleet=self.fleet,
            hook=DRAIN_HOOK,
            image=image.reference,
            weights_image=image.weights_reference or "",
            registry_host=image.registry_host or "",
            keys_secret=keys.reference,
            log_group=logs.name,
            bucket=store.bucket,
            queue=queue.url,
            topic_arn=queue.topic_arn,
        ).apply(lambda values: _boot(settings, **values))
        tags = all_tags(settings, pulumi.get_stack())
        template = launch_template(
            name,
            ami=settings.ami,
            boot=boot,
            profile_arn=profile.arn,
            security_group=network.node_security_group_id,
            public_address=None if settings.network.vpc_id else not settings.network.private,
            tags={**tags, "Name": self.fleet},
            opts=child,
        )

        group = aws.autoscaling.Group(
            f"{name}-nodes",
            # Not made up by the engine: nodes must know it, and what they know is made before the group.
            name=self.fleet,
            min_size=settings.nodes.min,
            max_size=settings.nodes.max,
            desired_capacity=schedule.first_nodes(settings.nodes),
            vpc_zone_identifiers=network.node_subnet_ids,
            mixed_instances_policy=instances_policy(settings, template),
            capacity_rebalance=settings.nodes.spot,
            health_check_type="ELB",
            health_check_grace_period=grace_seconds(settings.weights),
            default_instance_warmup=USUAL_COLD_START_SECONDS,
            instance_maintenance_policy=aws.autoscaling.GroupInstanceMaintenancePolicyArgs(
                min_healthy_percentage=100, max_healthy_percentage=150
            ),
            instance_refresh=aws.autoscaling.GroupInstanceRefreshArgs(
                strategy="Rolling",
                preferences=aws.autoscaling.GroupInstanceRefreshPreferencesArgs(
                    min_healthy_percentage=100,
                    max_healthy_percentage=150,
                    instance_warmup=str(COLD_START_SECONDS),
                    auto_rollback=True,
                    skip_matching=True,
                ),
            ),
            enabled_metrics=GROUP_METRICS,
            metrics_granularity="1Minute",
            # The first capacity may be long in coming, spot above all, and is no failure of the deployment.
            wait_for_capacity_timeout="0",
            ignore_failed_scaling_activities=settings.nodes.spot,
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=False)
                for key, value in sorted(tags.items())
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                # What scaling and the schedule decided, the next update leaves alone.
                ignore_changes=["desired_capacity"],
                # A node that starts before its keys, its right to them or its way out are there would not come up.
                depends_on=[policy, keys, network],
                custom_timeouts=pulumi.CustomTimeouts(delete="40m"),
            ),
        )
        aws.autoscaling.LifecycleHook(
            f"{name}-drain",
            name=DRAIN_HOOK,
            autoscaling_group_name=group.name,
            lifecycle_transition="autoscaling:EC2_INSTANCE_TERMINATING",
            heartbeat_timeout=TERMINATION_HOOK_SECONDS,
            default_result="CONTINUE",
            opts=child,
        )
        scaling.follow_demand(name, self.fleet, queue.queue_name, group.name, child)
        wake = scaling.wake(name, group.name, child)
        release = scaling.release(name, group.name, settings.nodes.min, child)
        if settings.schedule:
            schedule.follow_schedule(name, schedule.changes(settings.nodes, settings.schedule), group.name, child)

        self.label = group.name
        self.wake_arn = wake.arn
        self.release_arn = release.arn
        self.log_group = logs.name
        self.register_outputs({"label": self.label})


def fleet_name(project: str, stack: str, region: str) -> str:
    """The group's name, and the dimension of what its nodes report."""
    return f"{project}-{stack}-{region}"


def _boot(settings: AwsSettings, *, bucket: str, queue: str, topic_arn: str, **values: str) -> Boot:
    urls = ServerUrls(
        store=f"s3://{bucket}?region={settings.region}",
        queue=queue,
        topic=topic_url(topic_arn),
        public=public_url(settings.access.domain),
    )
    return Boot(region=settings.region, engine=settings.engine, weights=settings.weights, urls=urls, **values)


def topic_url(arn: str) -> str:
    """`sns://REGION/ACCOUNT/NAME` of `arn:aws:sns:REGION:ACCOUNT:NAME`."""
    region, account, name = arn.split(":")[3:6]
    return f"sns://{region}/{account}/{name}"


def instances_policy(
    settings: AwsSettings, template: aws.ec2.LaunchTemplate
) -> aws.autoscaling.GroupMixedInstancesPolicyArgs:
    """Which instances the group may take, in which order, and how many of them on demand."""
    nodes = settings.nodes
    return aws.autoscaling.GroupMixedInstancesPolicyArgs(
        launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
            launch_template_specification=SpecificationArgs(
                launch_template_id=template.id,
                # By its number: "$Latest" never changes, so that a new version would roll nothing.
                version=template.latest_version.apply(str),
            ),
            overrides=[
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(instance_type=kind)
                for kind in settings.instance_types
            ],
        ),
        instances_distribution=aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
            on_demand_base_capacity=nodes.on_demand_base,
            on_demand_percentage_above_base_capacity=0 if nodes.spot else 100,
            on_demand_allocation_strategy="prioritized",
            spot_allocation_strategy="price-capacity-optimized",
        ),
    )
