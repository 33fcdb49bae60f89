"""The network on AWS: which ranges its subnets have, who reaches whom, and what a cheap or an existing one lacks."""

import ipaddress
import json

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.aws.flow_logs import delivery_statements
from components.aws.network import Network
from components.aws.security_rules import Rule, load_balancer_rules, node_rules
from components.aws.subnets import plan_subnets
from components.contracts import SERVER_PORT, NetworkArgs
from tests.unit.aws.one_part import aws_settings, register

ZONES = tuple(f"us-west-2{letter}" for letter in "abcdefgh")
TLS = {"domain": "speech.example.com", "hostedZone": "Z0123456789ABC"}


def network(**values):
    settings = aws_settings(**values)

    def make():
        made = Network("speech", NetworkArgs(settings), pulumi.ResourceOptions())
        names = (
            "vpc_id", "node_subnet_ids", "load_balancer_subnet_ids", "load_balancer_security_group_id",
            "node_security_group_id", "zones",
        )  # fmt: skip
        return {name: getattr(made, name) for name in names}

    return register(make)


class TestSubnets:
    @given(
        prefix=st.integers(16, 22),
        zones=st.lists(st.sampled_from(ZONES), min_size=2, unique=True),
        private=st.booleans(),
    )
    def test_none_overlap_and_all_are_inside_and_large_enough(self, prefix, zones, private):
        whole = ipaddress.ip_network(f"10.20.0.0/{prefix}")
        plan = plan_subnets(str(whole), tuple(zones), private)
        assert [one.zone for one in plan] == zones
        ranges = [ipaddress.ip_network(text) for one in plan for text in (one.public, one.private) if text]
        assert len(ranges) == len(zones) * (2 if private else 1)
        assert all(one.subnet_of(whole) for one in ranges)
        assert not any(one.overlaps(other) for one in ranges for other in ranges if one is not other)
        # AWS keeps five addresses of each subnet.
        assert all(one.num_addresses - 5 >= 59 for one in ranges)

    def test_a_zone_that_comes_moves_no_other(self):
        two = plan_subnets("10.20.0.0/16", ("us-west-2a", "us-west-2c"), True)
        three = plan_subnets("10.20.0.0/16", ("us-west-2b", "us-west-2c", "us-west-2a"), True)
        assert set(two) < set(three)

    def test_what_a_16_gives(self):
        (first, _) = plan_subnets("10.20.0.0/16", ("us-west-2a", "us-west-2b"), True)
        assert (first.private, first.public, first.letter) == ("10.20.0.0/20", "10.20.128.0/20", "a")


class TestRules:
    def test_with_a_domain_all_clients_reach_443_and_80_for_the_redirect(self):
        rules = load_balancer_rules(aws_settings(access=TLS).access)
        assert rules == (
            Rule("in", 443, "0.0.0.0/0"),
            Rule("in", 80, "0.0.0.0/0"),
            Rule("out", SERVER_PORT, "nodes"),
        )

    def test_allowed_ranges_are_the_only_ones(self):
        access = {**TLS, "allowedCidrs": ["203.0.113.0/24", "198.51.100.7/32"]}
        inward = [
            rule.peer for rule in load_balancer_rules(aws_settings(access=access).access) if rule.direction == "in"
        ]
        assert set(inward) == {"203.0.113.0/24", "198.51.100.7/32"}

    def test_without_a_domain_port_80_is_open_to_the_allowed_alone(self):
        assert load_balancer_rules(aws_settings().access)[:-1] == (Rule("in", 80, "203.0.113.0/24"),)

    def test_a_node_is_reached_by_the_load_balancer_at_one_port_and_by_nobody_else(self):
        assert [rule for rule in node_rules() if rule.direction == "in"] == [Rule("in", SERVER_PORT, "load-balancer")]


class TestSecurityGroups:
    def test_the_default_group_lets_nothing_through(self):
        group = network()[0].of_type(":DefaultSecurityGroup").values
        assert (group["ingress"], group["egress"]) == ([], [])

    def test_nothing_reaches_a_node_but_the_load_balancer_and_no_ssh(self):
        recorder, outputs = network()
        inward = [one.values for one in recorder.all_of_type(":SecurityGroupIngressRule")]
        to_nodes = [one for one in inward if one["securityGroupId"] == outputs["node_security_group_id"]]
        assert [(one["fromPort"], one["toPort"], one["ipProtocol"]) for one in to_nodes] == [(8000, 8000, "tcp")]
        assert to_nodes[0]["referencedSecurityGroupId"] == outputs["load_balancer_security_group_id"]
        assert "cidrIpv4" not in to_nodes[0]
        assert not any(one["fromPort"] <= 22 <= one["toPort"] for one in inward)

    def test_the_load_balancer_reaches_nodes_alone(self):
        recorder, outputs = network()
        out = [one.values for one in recorder.all_of_type(":SecurityGroupEgressRule")]
        (own,) = [one for one in out if one["securityGroupId"] == outputs["load_balancer_security_group_id"]]
        assert own["referencedSecurityGroupId"] == outputs["node_security_group_id"]
        assert "cidrIpv4" not in own


class TestPrivate:
    def test_nodes_have_no_public_address_and_a_nat_gateway_in_their_zone(self):
        recorder, outputs = network(network={"private": True})
        subnets = {one.name: one.values for one in recorder.all_of_type(":Subnet")}
        assert set(subnets) == {"speech-public-a", "speech-public-b", "speech-private-a", "speech-private-b"}
        assert not any(one["mapPublicIpOnLaunch"] for one in subnets.values())
        assert {one.name for one in recorder.all_of_type(":NatGateway")} == {"speech-nat-a", "speech-nat-b"}
        assert len(outputs["node_subnet_ids"]) == 2
        assert not set(outputs["node_subnet_ids"]) & set(outputs["load_balancer_subnet_ids"])

    def test_nat_waits_for_the_way_out(self):
        recorder, _ = network()
        way_out = recorder.named("speech-public-out").urn
        assert all(way_out in one.depends_on for one in recorder.all_of_type(":NatGateway"))

    def test_s3_is_reached_past_nat_from_every_route_table(self):
        recorder, _ = network()
        endpoint = recorder.of_type(":VpcEndpoint").values
        assert (endpoint["serviceName"], endpoint["vpcEndpointType"]) == ("com.amazonaws.us-west-2.s3", "Gateway")
        assert len(endpoint["routeTableIds"]) == len(recorder.all_of_type(":RouteTable")) == 3


class TestCheap:
    def test_nodes_live_in_public_subnets_with_addresses_and_nothing_costs_by_the_hour(self):
        recorder, outputs = network(network={"private": False})
        assert outputs["node_subnet_ids"] == outputs["load_balancer_subnet_ids"]
        assert all(one.values["mapPublicIpOnLaunch"] for one in recorder.all_of_type(":Subnet"))
        assert recorder.all_of_type(":NatGateway") == recorder.all_of_type(":Eip") == []


class TestExisting:
    def test_only_security_groups_are_made_in_it(self):
        recorder, outputs = network(
            network={"vpcId": "vpc-0123456789abcdef0", "subnetIds": ["subnet-0000000a", "subnet-0000000b"]}
        )
        kinds = {one.type.rpartition(":")[2] for one in recorder.registered.values() if one.custom}
        assert kinds == {"SecurityGroup", "SecurityGroupIngressRule", "SecurityGroupEgressRule"}
        assert {one.values["vpcId"] for one in recorder.all_of_type(":SecurityGroup")} == {"vpc-0123456789abcdef0"}
        assert outputs["node_subnet_ids"] == outputs["load_balancer_subnet_ids"]

    def test_the_load_balancer_can_have_subnets_of_its_own(self):
        _, outputs = network(
            network={
                "vpcId": "vpc-0123456789abcdef0",
                "subnetIds": ["subnet-0000000a", "subnet-0000000b"],
                "loadBalancerSubnetIds": ["subnet-0000000c", "subnet-0000000d"],
            }
        )
        assert outputs["load_balancer_subnet_ids"] == ["subnet-0000000c", "subnet-0000000d"]


class TestFlowLogs:
    def test_there_are_none_unless_the_stack_wants_them(self):
        assert network()[0].all_of_type(":FlowLog") == []

    def test_they_go_to_a_private_bucket_that_only_the_log_service_writes(self):
        recorder, _ = network(network={"flowLogs": True})
        log = recorder.of_type(":FlowLog")
        assert (log.values["trafficType"], log.values["logDestinationType"]) == ("ALL", "s3")
        policy = recorder.of_type(":BucketPolicy")
        assert policy.urn in log.depends_on
        allowed = [one for one in json.loads(policy.values["policy"])["Statement"] if one["Effect"] == "Allow"]
        assert {one["Principal"]["Service"] for one in allowed} == {"delivery.logs.amazonaws.com"}
        assert all("aws:SourceAccount" in one["Condition"]["StringEquals"] for one in allowed)

    @pytest.mark.parametrize("region", ["us-west-2", "eu-west-1"])
    def test_another_accounts_logs_are_refused(self, region):
        for statement in delivery_statements(region, "123456789012"):
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"
            assert statement["Condition"]["ArnLike"]["aws:SourceArn"] == f"arn:aws:logs:{region}:123456789012:*"


class TestZones:
    def test_they_are_those_of_the_settings(self):
        assert network()[1]["zones"] == ("us-west-2a", "us-west-2b")
