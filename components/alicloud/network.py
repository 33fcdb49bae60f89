"""The network on Alibaba Cloud."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_alicloud import ecs, vpc

from components import contracts
from components.alicloud.names import resource_name
from components.alicloud.provider import all_tags
from components.alicloud.security_rules import FIRST, LAST, Rule, node_rules
from components.alicloud.subnets import ZoneSubnets, plan_subnets
from components.contracts import NetworkArgs
from components.settings import AlicloudSettings

# The most that an address takes which is paid by what it carries, Mbit/s:
# https://www.alibabacloud.com/help/en/eip/product-overview/limits
NAT_MBITS = "200"


class Network(contracts.Network):
    """In an existing VPC only the security group; else:

    - A VPC, and in each zone a vSwitch of the nodes and one of the load balancer, which speaks to nodes from there.
    - For private nodes an enhanced NAT gateway with an address of its own, through which their vSwitches reach out;
      one for all zones, because a VPC has one way out. Nodes of a cheap stack have public addresses and no NAT.
    Then, in both:
    - A security group of the nodes, which the load balancer's vSwitches alone reach; nodes do not reach each other. No
      SSH: Session Manager of Cloud Assistant needs no way in.
    Clients meet the load balancer's own access list, which is the listener's.
    """

    vpc_id: pulumi.Output[str]
    node_vswitch_ids: pulumi.Output[list[str]]
    load_balancer_vswitch_ids: Mapping[str, pulumi.Output[str]]
    """Of each zone the load balancer's vSwitch."""
    node_security_group_id: pulumi.Output[str]
    zones: tuple[str, ...]

    def __init__(self, name: str, args: NetworkArgs[AlicloudSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:alicloud:Network", name, {}, opts)
        settings = args.settings
        self.zones = settings.zones
        self._tags = all_tags(settings, pulumi.get_stack())
        ranges = self._make(name, settings) if settings.network.vpc_id is None else self._take(settings)
        self._security_group(name, settings, ranges)
        self.register_outputs({"vpc": self.vpc_id})

    def _make(self, name: str, settings: AlicloudSettings) -> dict[str, pulumi.Input[str]]:
        plan = plan_subnets(settings.network.cidr, settings.zones)
        own = vpc.Network(
            f"{name}-vpc",
            vpc_name=resource_name(settings, pulumi.get_stack(), "vpc"),
            cidr_block=settings.network.cidr,
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        balancers = {
            zone.zone: self._vswitch(f"{name}-load-balancer-{zone.letter}", zone, zone.load_balancer, own)
            for zone in plan
        }
        nodes = {zone: self._vswitch(f"{name}-nodes-{zone.letter}", zone, zone.nodes, own) for zone in plan}
        if settings.network.private:
            self._nat(name, settings, own, nodes, next(iter(balancers.values())))

        self.vpc_id = own.id
        self.node_vswitch_ids = pulumi.Output.all(*(vswitch.id for vswitch in nodes.values()))
        self.load_balancer_vswitch_ids = {zone: vswitch.id for zone, vswitch in balancers.items()}
        return {zone.zone: zone.load_balancer for zone in plan}

    def _vswitch(self, label: str, zone: ZoneSubnets, block: str, own: vpc.Network) -> vpc.Switch:
        return vpc.Switch(
            label,
            vswitch_name=label,
            vpc_id=own.id,
            zone_id=zone.zone,
            cidr_block=block,
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _nat(
        self,
        name: str,
        settings: AlicloudSettings,
        own: vpc.Network,
        nodes: Mapping[ZoneSubnets, vpc.Switch],
        place: vpc.Switch,
    ) -> None:
        under = pulumi.ResourceOptions(parent=self)
        nat = vpc.NatGateway(
            f"{name}-nat",
            nat_gateway_name=f"{name}-nat",
            vpc_id=own.id,
            vswitch_id=place.id,
            nat_type="Enhanced",
            payment_type="PayAsYouGo",
            internet_charge_type="PayByLcu",
            tags=self._tags,
            opts=under,
        )
        address = ecs.EipAddress(
            f"{name}-nat",
            address_name=resource_name(settings, pulumi.get_stack(), "nat"),
            payment_type="PayAsYouGo",
            internet_charge_type="PayByTraffic",
            bandwidth=NAT_MBITS,
            tags=self._tags,
            opts=under,
        )
        bound = ecs.EipAssociation(
            f"{name}-nat",
            allocation_id=address.id,
            instance_id=nat.id,
            instance_type="Nat",
            # What the gateway makes of them is read back, and would bind the address anew because none is asked for.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["vpcId", "privateIpAddress"]),
        )
        for zone, vswitch in nodes.items():
            vpc.SnatEntry(
                f"{name}-nat-{zone.letter}",
                snat_entry_name=f"{name}-nat-{zone.letter}",
                snat_table_id=nat.snat_table_ids,
                source_vswitch_id=vswitch.id,
                snat_ip=address.ip_address,
                # An address that is not the gateway's own cannot be the source of anything.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[bound]),
            )

    def _take(self, settings: AlicloudSettings) -> dict[str, pulumi.Input[str]]:
        network = settings.network
        balancers = dict(zip(settings.zones, network.load_balancer_subnet_ids or network.subnet_ids, strict=True))
        # Nothing but the account knows the ranges of vSwitches that were made elsewhere.
        found = vpc.get_switches_output(
            ids=list(balancers.values()), vpc_id=network.vpc_id, opts=pulumi.InvokeOutputOptions(parent=self)
        ).vswitches.apply(lambda vswitches: {one.id: one.cidr_block for one in vswitches})
        self.vpc_id = pulumi.Output.from_input(network.vpc_id or "")
        self.node_vswitch_ids = pulumi.Output.from_input(list(network.subnet_ids))
        self.load_balancer_vswitch_ids = {zone: pulumi.Output.from_input(own) for zone, own in balancers.items()}
        return {zone: found[own] for zone, own in balancers.items()}

    def _security_group(self, name: str, settings: AlicloudSettings, ranges: Mapping[str, pulumi.Input[str]]) -> None:
        group = ecs.SecurityGroup(
            f"{name}-nodes",
            security_group_name=resource_name(settings, pulumi.get_stack(), "nodes"),
            description="The load balancer to the nodes",
            security_group_type="normal",
            inner_access_policy="Drop",
            vpc_id=self.vpc_id,
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        for rule in node_rules(settings.zones):
            self._rule(f"{name}-nodes-{rule.label}", group, rule, ranges.get(rule.peer, rule.peer))
        self.node_security_group_id = group.id

    def _rule(self, label: str, group: ecs.SecurityGroup, rule: Rule, peer: pulumi.Input[str]) -> None:
        ecs.SecurityGroupRule(
            label,
            security_group_id=group.id,
            type=rule.direction,
            policy="accept" if rule.accept else "drop",
            priority=FIRST if rule.accept else LAST,
            ip_protocol="all" if rule.port is None else "tcp",
            port_range="-1/-1" if rule.port is None else f"{rule.port}/{rule.port}",
            cidr_ip=peer,
            nic_type="intranet",
            description=rule.label,
            opts=pulumi.ResourceOptions(parent=self),
        )
