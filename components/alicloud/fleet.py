"""The nodes on Alibaba Cloud: GPU instances of a scaling group."""

from __future__ import annotations

import pulumi
from pulumi_alicloud import cms, ecs, ess

from components import contracts
from components.alicloud import scaling, schedule
from components.alicloud.image import ServerImage
from components.alicloud.instances import allow, launch_template, node_role
from components.alicloud.logs import log_project
from components.alicloud.names import resource_name
from components.alicloud.network import Network
from components.alicloud.provider import all_tags
from components.alicloud.queue import JobQueue
from components.alicloud.ram import NodeAccess, group_policy
from components.alicloud.secrets import ApiKeys
from components.alicloud.storage import ObjectStore
from components.alicloud.timing import DRAIN_HOOK_SECONDS, USUAL_COLD_START_SECONDS, warm_hook_seconds
from components.alicloud.user_data import Boot
from components.contracts import GpuFleetArgs
from components.node_weights import may_fill
from components.server_environment import ServerUrls, public_url
from components.settings import AlicloudSettings

CHOSEN_BY_THE_SERVICE = ("balanceMode", "azBalance", "autoRebalance", "stopInstanceTimeout", "maxInstanceLifetime")


class GpuFleet(contracts.GpuFleet):
    """- A log project that the nodes' agents write to, and a group of CloudMonitor that the nodes' figures go to.
    - A role with what nodes call and no more, and a launch template.
    - The scaling group: instances of the settings' types at the lowest price, on demand first and spot above, on demand
      too where there is no spot.
    - Two hooks: a node is in service only once it speaks, and goes only once it has finished.
    - What a node may ask of its own group, which is known only now.
    - The rules and alarms that follow demand and release idle nodes, and the schedule.

    A new template does not touch running nodes, and the service's instance refresh takes no group that mixes on-demand
    and spot instances. So nodes give way by themselves: the oldest outdated one asks for one of the new template, and
    goes when that one speaks; then the next (`node/rolling.py`). A second group beside the first would need twice the
    GPU quota, and an update that the engine holds open until the new nodes are warm; taking the old group away would
    release its instances without the hook that lets them finish.
    """

    def __init__(self, name: str, args: GpuFleetArgs[AlicloudSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:alicloud:GpuFleet", name, {}, opts)
        settings = args.settings
        network, store, queue, keys, image = args.network, args.store, args.queue, args.keys, args.image
        assert isinstance(network, Network)
        assert isinstance(store, ObjectStore)
        assert isinstance(queue, JobQueue)
        assert isinstance(keys, ApiKeys)
        assert isinstance(image, ServerImage)
        child = pulumi.ResourceOptions(parent=self)
        tags = all_tags(settings, pulumi.get_stack())
        self.fleet = resource_name(settings, pulumi.get_stack(), "nodes")

        logs = log_project(name, settings, self.fleet, child)
        figures = cms.MonitorGroup(f"{name}-nodes", monitor_group_name=self.fleet, tags=tags, opts=child)
        role, may = node_role(name, settings, _access(settings, store, queue, keys, image), child)
        template = launch_template(
            name,
            settings,
            boot=_boot(settings, self.fleet, figures, store, queue, keys, image),
            role=role.role_name,
            security_group=network.node_security_group_id,
            tags={**tags, "Name": self.fleet},
            opts=child,
        )
        group = ess.ScalingGroup(
            f"{name}-nodes",
            **group_shape(settings, self.fleet, template),
            vswitch_ids=network.node_vswitch_ids,
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                # What scaling and the schedule decided, the next update leaves alone; and what the service chose of all
                # that is not asked for here, which the provider reads back and would take away again.
                ignore_changes=["desiredCapacity", *CHOSEN_BY_THE_SERVICE],
                # A node that starts before its keys, its right to them or its way out are there would not come up.
                depends_on=[may, keys, network],
                custom_timeouts=pulumi.CustomTimeouts(delete="40m"),
            ),
        )
        self._hooks(name, settings, group)
        own = group.id.apply(lambda found: group_policy(settings.region, settings.account, found))
        allow(f"{name}-node-group", settings, "node-group", role, own, child)

        longest = warm_hook_seconds(settings.weights)
        rules = scaling.scaling_rules(name, settings.nodes.min, longest, group.id, child)
        figures_id = figures.id.apply(int)
        scaling.follow_demand(name, self.fleet, figures_id, group.id, rules, child)
        scaling.release_idle(name, self.fleet, settings.alarms.idle_minutes, group.id, rules, child)
        if settings.schedule:
            changes = schedule.changes(settings.nodes, settings.schedule)
            schedule.follow_schedule(name, self.fleet, changes, group.id, child)

        self.group_id = group.id
        self.label = group.scaling_group_name.apply(lambda found: found or self.fleet)
        self.grow_arn = rule_arn(settings, group.id, rules["grow"].id)
        self.wake_arn = rule_arn(settings, group.id, rules["wake"].id)
        self.metric_group = figures.id
        self.logs = logs
        self.register_outputs({"label": self.label})

    def _hooks(self, name: str, settings: AlicloudSettings, group: ess.ScalingGroup) -> None:
        for label, transition, seconds, otherwise in (
            # A node that does not say that it is ready is given up, and another one started.
            ("warm", "SCALE_OUT", warm_hook_seconds(settings.weights), "ABANDON"),
            ("drain", "SCALE_IN", DRAIN_HOOK_SECONDS, "CONTINUE"),
        ):
            ess.LifecycleHook(
                f"{name}-{label}",
                name=label,
                scaling_group_id=group.id,
                lifecycle_transition=transition,
                heartbeat_timeout=seconds,
                default_result=otherwise,
                opts=pulumi.ResourceOptions(parent=self),
            )


def group_shape(settings: AlicloudSettings, fleet: str, template: ecs.EcsLaunchTemplate) -> dict:
    """Which instances the group takes, how many, and when it replaces one."""
    nodes = settings.nodes
    return {
        "scaling_group_name": fleet,
        "min_size": nodes.min,
        "max_size": nodes.max,
        "desired_capacity": schedule.first_nodes(nodes),
        "launch_template_id": template.id,
        # By its number: "Latest" never changes, so that nodes could not tell that they are outdated.
        "launch_template_version": template.latest_version_number.apply(str),
        "launch_template_overrides": [
            ess.ScalingGroupLaunchTemplateOverrideArgs(instance_type=kind) for kind in settings.instance_types
        ],
        "multi_az_policy": "COST_OPTIMIZED",
        "on_demand_base_capacity": nodes.on_demand_base,
        "on_demand_percentage_above_base_capacity": 0 if nodes.spot else 100,
        "spot_instance_pools": len(settings.instance_types),
        # A spot instance that is to go is replaced before it goes.
        "spot_instance_remedy": nodes.spot,
        "compensate_with_on_demand": nodes.spot,
        "removal_policies": ["OldestScalingConfiguration", "OldestInstance"],
        "health_check_types": ["ECS", "LOAD_BALANCER"],
        "scaling_policy": "release",
        "default_cooldown": USUAL_COLD_START_SECONDS,
        "group_deletion_protection": settings.protect,
    }


def rule_arn(settings: AlicloudSettings, group: pulumi.Input[str], rule: pulumi.Input[str]) -> pulumi.Output[str]:
    """A scaling rule as an alarm of CloudMonitor calls it:
    https://www.alibabacloud.com/help/en/cms/cloudmonitor-1-0/developer-reference/api-putmetricruletargets"""
    return pulumi.Output.format(
        "acs:ess:{0}:{1}:scalingGroupId/{2}:scalingRuleId/{3}", settings.region, settings.account, group, rule
    )


def _access(
    settings: AlicloudSettings, store: ObjectStore, queue: JobQueue, keys: ApiKeys, image: ServerImage
) -> pulumi.Output[NodeAccess]:
    registry = image.registry
    source = settings.registry
    repository = f"{source.namespace}/{source.repository}" if source.namespace and source.repository else None
    return pulumi.Output.all(
        bucket=store.bucket,
        queue=queue.queue_name,
        dead_letters=queue.dead_letter_name,
        topic=queue.topic_name,
        keys_name=keys.reference,
        keys_key=keys.key_arn,
        registry_password=registry.password_reference if registry else None,
    ).apply(
        lambda found: NodeAccess(
            region=settings.region,
            account=settings.account,
            keys_kind=keys.kind,
            registry_instance=registry.instance_id if registry else None,
            registry_repository=repository,
            weights=settings.weights.name,
            may_fill=may_fill(settings.weights),
            **found,
        )
    )


def _boot(
    settings: AlicloudSettings,
    fleet: str,
    figures: cms.MonitorGroup,
    store: ObjectStore,
    queue: JobQueue,
    keys: ApiKeys,
    image: ServerImage,
) -> pulumi.Output[Boot]:
    registry = image.registry
    return pulumi.Output.all(
        image=image.reference,
        weights_image=image.weights_reference or "",
        registry_password=registry.password_reference if registry else None,
        keys_name=keys.reference,
        metric_group=figures.id,
        store=store.url,
        queue=queue.url,
        topic=queue.topic_url,
    ).apply(
        lambda found: Boot(
            region=settings.region,
            fleet=fleet,
            image=found["image"],
            weights_image=found["weights_image"],
            registry_host=registry.host if registry else "",
            registry_instance=(registry.instance_id if registry else None) or "",
            registry_user=(registry.user if registry else None) or "",
            registry_password=found["registry_password"] or "",
            keys_kind=keys.kind,
            keys_name=found["keys_name"],
            metric_group=found["metric_group"],
            engine=settings.engine,
            weights=settings.weights,
            urls=ServerUrls(found["store"], found["queue"], found["topic"], public_url(settings.access.domain)),
        )
    )
