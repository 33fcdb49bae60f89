"""The network on AWS."""

from __future__ import annotations

import pulumi
from pulumi_aws import ec2, vpc

from components import contracts
from components.aws.bucket import private_bucket
from components.aws.flow_logs import LIFECYCLE, delivery_statements
from components.aws.security_rules import ANYWHERE, Rule, load_balancer_rules, node_rules
from components.aws.subnets import ZoneSubnets, plan_subnets
from components.contracts import NetworkArgs
from components.settings import AwsSettings


class Network(contracts.Network):
    """In an existing VPC only the security groups; else:

    - A VPC with an internet gateway; its default security group lets nothing through.
    - In each zone a public subnet for the load balancer. Private nodes have a subnet and a NAT gateway in each zone, so
      that a zone's failure cuts off no other; the nodes of a cheap stack have public addresses and no NAT.
    - A gateway endpoint of S3: weights and clips go past NAT, at no charge.
    - Flow logs, where the stack wants them.
    Then, in both:
    - A security group of the load balancer, which clients reach.
    - A security group of the nodes, which the load balancer alone reaches. No SSH: Session Manager needs no way in.
    """

    vpc_id: pulumi.Output[str]
    node_subnet_ids: pulumi.Output[list[str]]
    load_balancer_subnet_ids: pulumi.Output[list[str]]
    load_balancer_security_group_id: pulumi.Output[str]
    node_security_group_id: pulumi.Output[str]
    zones: tuple[str, ...]

    def __init__(self, name: str, args: NetworkArgs[AwsSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:aws:Network", name, {}, opts)
        settings = args.settings
        self.zones = settings.zones
        if settings.network.vpc_id is None:
            self._make(name, settings)
        else:
            self._take(settings)
        self._security_groups(name, settings)
        self.register_outputs({"vpc": self.vpc_id})

    def _make(self, name: str, settings: AwsSettings) -> None:
        under = pulumi.ResourceOptions(parent=self)
        plan = plan_subnets(settings.network.cidr, settings.zones, settings.network.private)
        own = ec2.Vpc(
            f"{name}-vpc",
            cidr_block=settings.network.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": f"{name}-{pulumi.get_stack()}"},
            opts=under,
        )
        ec2.DefaultSecurityGroup(f"{name}-default", vpc_id=own.id, ingress=[], egress=[], opts=under)
        gateway = ec2.InternetGateway(f"{name}-internet", vpc_id=own.id, opts=under)
        out = ec2.RouteTable(f"{name}-public", vpc_id=own.id, opts=under)
        way_out = ec2.Route(
            f"{name}-public-out",
            route_table_id=out.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=under,
        )
        public = {zone: self._public_subnet(name, zone, own, out, nodes=zone.private is None) for zone in plan}
        private = {
            zone: self._private_subnet(name, zone, own, subnet, way_out)
            for zone, subnet in public.items()
            if zone.private is not None
        }
        ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=own.id,
            service_name=f"com.amazonaws.{settings.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[out.id, *(table.id for _, table in private.values())],
            opts=under,
        )
        if settings.network.flow_logs:
            self._flow_logs(name, settings, own)

        self.vpc_id = own.id
        self.load_balancer_subnet_ids = pulumi.Output.all(*(subnet.id for subnet in public.values()))
        self.node_subnet_ids = (
            pulumi.Output.all(*(subnet.id for subnet, _ in private.values()))
            if private
            else self.load_balancer_subnet_ids
        )

    def _public_subnet(
        self, name: str, zone: ZoneSubnets, own: ec2.Vpc, out: ec2.RouteTable, *, nodes: bool
    ) -> ec2.Subnet:
        under = pulumi.ResourceOptions(parent=self)
        label = f"{name}-public-{zone.letter}"
        subnet = ec2.Subnet(
            label,
            vpc_id=own.id,
            availability_zone=zone.zone,
            cidr_block=zone.public,
            # Nodes without NAT need an address of their own to reach out; a load balancer brings its own.
            map_public_ip_on_launch=nodes,
            tags={"Name": label},
            opts=under,
        )
        ec2.RouteTableAssociation(label, subnet_id=subnet.id, route_table_id=out.id, opts=under)
        return subnet

    def _private_subnet(
        self, name: str, zone: ZoneSubnets, own: ec2.Vpc, public: ec2.Subnet, way_out: ec2.Route
    ) -> tuple[ec2.Subnet, ec2.RouteTable]:
        under = pulumi.ResourceOptions(parent=self)
        label = f"{name}-private-{zone.letter}"
        subnet = ec2.Subnet(
            label,
            vpc_id=own.id,
            availability_zone=zone.zone,
            cidr_block=zone.private,
            map_public_ip_on_launch=False,
            tags={"Name": label},
            opts=under,
        )
        address = ec2.Eip(f"{name}-nat-{zone.letter}", domain="vpc", opts=under)
        nat = ec2.NatGateway(
            f"{name}-nat-{zone.letter}",
            subnet_id=public.id,
            allocation_id=address.allocation_id,
            # It fails to start in a subnet that has no way out yet.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[way_out]),
        )
        table = ec2.RouteTable(label, vpc_id=own.id, opts=under)
        ec2.Route(
            f"{label}-out",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            nat_gateway_id=nat.id,
            opts=under,
        )
        ec2.RouteTableAssociation(label, subnet_id=subnet.id, route_table_id=table.id, opts=under)
        return subnet, table

    def _flow_logs(self, name: str, settings: AwsSettings, own: ec2.Vpc) -> None:
        under = pulumi.ResourceOptions(parent=self)
        bucket, policy = private_bucket(
            f"{name}-flow-logs",
            LIFECYCLE,
            under,
            force_destroy=settings.storage.force_destroy,
            statements=own.owner_id.apply(lambda account: delivery_statements(settings.region, account)),
        )
        ec2.FlowLog(
            f"{name}-flow-log",
            vpc_id=own.id,
            traffic_type="ALL",
            log_destination_type="s3",
            log_destination=bucket.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )

    def _take(self, settings: AwsSettings) -> None:
        network = settings.network
        self.vpc_id = pulumi.Output.from_input(network.vpc_id or "")
        self.node_subnet_ids = pulumi.Output.from_input(list(network.subnet_ids))
        self.load_balancer_subnet_ids = pulumi.Output.from_input(
            list(network.load_balancer_subnet_ids or network.subnet_ids)
        )

    def _security_groups(self, name: str, settings: AwsSettings) -> None:
        balancer = self._security_group(f"{name}-load-balancer", "Clients to the load balancer")
        nodes = self._security_group(f"{name}-nodes", "The load balancer to the nodes")
        groups = {"load-balancer": balancer, "nodes": nodes}
        for own, rules in (("load-balancer", load_balancer_rules(settings.access)), ("nodes", node_rules())):
            for rule in rules:
                self._rule(f"{name}-{own}-{rule.label}", groups[own], rule, groups.get(rule.peer))
        self.load_balancer_security_group_id = balancer.id
        self.node_security_group_id = nodes.id

    def _security_group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            name, description=description, vpc_id=self.vpc_id, opts=pulumi.ResourceOptions(parent=self)
        )

    def _rule(self, name: str, group: ec2.SecurityGroup, rule: Rule, peer: ec2.SecurityGroup | None) -> None:
        kind = vpc.SecurityGroupIngressRule if rule.direction == "in" else vpc.SecurityGroupEgressRule
        kind(
            name,
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=rule.port,
            to_port=rule.port,
            cidr_ipv4=None if peer else rule.peer,
            referenced_security_group_id=peer.id if peer else None,
            opts=pulumi.ResourceOptions(parent=self),
        )
