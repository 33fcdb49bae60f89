"""The network on Alibaba Cloud: the ranges of its vSwitches, who reaches whom, and what a cheap or an existing one
lacks."""

import ipaddress

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.alicloud.network import Network
from components.alicloud.security_rules import node_rules
from components.alicloud.subnets import node_room, plan_subnets
from components.contracts import SERVER_PORT, NetworkArgs
from tests.unit.alicloud.one_part import alicloud_settings, register

ZONES = tuple(f"cn-hangzhou-{letter}" for letter in "abcdefghijklmnop")
OWN = ("vsw-bp1s5fnvk4gn3tws03624", "vsw-bp1hdfpuhtjg0v8r2hl6x")
BALANCERS = ("vsw-bp1aaaaaaaaaaaaaaaaaa", "vsw-bp1bbbbbbbbbbbbbbbbbb")
VPC = {"vpcId": "vpc-bp1aevy8sofi8mh1q5cs6", "subnetIds": list(OWN)}


def vswitch(vswitch_id, block):
    return {
        "availableIpAddressCount": 250,
        "cidrBlock": block,
        "creationTime": "",
        "description": "",
        "enableIpv6": False,
        "id": vswitch_id,
        "ipv6CidrBlock": "",
        "isDefault": False,
        "name": "",
        "resourceGroupId": "",
        "routeTableId": "",
        "status": "Available",
        "tags": {},
        "vpcId": VPC["vpcId"],
        "vswitchId": vswitch_id,
        "vswitchName": "",
        "zoneId": "cn-hangzhou-h",
    }


LOOKED_UP = {
    "alicloud:vpc/getSwitches:getSwitches": {
        "id": "1",
        "names": [],
        "vswitches": [vswitch(name, f"10.9.{at}.0/24") for at, name in reversed(list(enumerate((*OWN, *BALANCERS))))],
    }
}


def network(**values):
    settings = alicloud_settings(**values)

    def make():
        made = Network("speech", NetworkArgs(settings), pulumi.ResourceOptions())
        return {
            "vpc": made.vpc_id,
            "nodes": made.node_vswitch_ids,
            "balancers": pulumi.Output.all(**made.load_balancer_vswitch_ids),
            "group": made.node_security_group_id,
            "zones": made.zones,
        }

    return register(make, calls=LOOKED_UP)


class TestSubnets:
    @given(prefix=st.integers(16, 22), zones=st.lists(st.sampled_from(ZONES), min_size=2, unique=True))
    def test_none_overlap_and_all_are_inside_and_large_enough(self, prefix, zones):
        whole = ipaddress.ip_network(f"10.20.0.0/{prefix}")
        plan = plan_subnets(str(whole), tuple(zones))
        assert [one.zone for one in plan] == zones
        ranges = [ipaddress.ip_network(text) for one in plan for text in (one.nodes, one.load_balancer)]
        assert all(one.subnet_of(whole) for one in ranges)
        assert not any(one.overlaps(other) for one in ranges for other in ranges if one is not other)
        # A load balancer wants eight free addresses in each zone.
        assert all(one.num_addresses - 4 >= 8 for one in ranges)

    def test_a_zone_that_comes_moves_no_other(self):
        two = plan_subnets("10.20.0.0/16", ("cn-hangzhou-h", "cn-hangzhou-j"))
        three = plan_subnets("10.20.0.0/16", ("cn-hangzhou-i", "cn-hangzhou-j", "cn-hangzhou-h"))
        assert set(two) < set(three)

    def test_what_a_16_gives(self):
        (first, _) = plan_subnets("10.20.0.0/16", ("us-west-1a", "us-west-1b"))
        assert (first.nodes, first.load_balancer, first.letter) == ("10.20.0.0/21", "10.20.128.0/21", "a")

    def test_a_letter_beyond_the_blocks(self):
        with pytest.raises(ValueError, match="substring not found"):
            plan_subnets("10.20.0.0/16", ("cn-hangzhou-z",))

    def test_the_smallest_network_has_room_for_some_nodes(self):
        assert node_room("10.20.0.0/22", ("cn-hangzhou-h", "cn-hangzhou-i")) == 56
        assert node_room("10.20.0.0/16", ("cn-hangzhou-h", "cn-hangzhou-i")) == 4088


class TestPrivate:
    def test_nodes_reach_out_through_one_gateway_with_an_address(self):
        recorder, outputs = network()
        nat, address = recorder.of_type(":NatGateway"), recorder.of_type(":EipAddress")
        assert nat.values["natType"] == "Enhanced"
        entries = recorder.all_of_type(":SnatEntry")
        assert sorted(entry.values["sourceVswitchId"] for entry in entries) == sorted(outputs["nodes"])
        bound = recorder.of_type(":EipAssociation")
        assert bound.values["instanceType"] == "Nat"
        assert all(bound.urn in entry.depends_on for entry in entries)
        assert address.values["internetChargeType"] == "PayByTraffic"

    def test_nodes_and_load_balancer_have_vswitches_of_their_own_in_each_zone(self):
        recorder, outputs = network()
        assert outputs["balancers"].keys() == {"cn-hangzhou-h", "cn-hangzhou-i"}
        assert not set(outputs["balancers"].values()) & set(outputs["nodes"])
        assert len(recorder.all_of_type(":Switch")) == 4

    def test_everything_that_takes_tags_has_them(self):
        recorder, _ = network(tags={"costCenter": "dubbing"})
        for kind in (":Network", ":Switch", ":NatGateway", ":EipAddress", ":SecurityGroup"):
            for one in recorder.all_of_type(kind):
                if one.custom:
                    assert one.values["tags"] == {"costCenter": "dubbing", "project": "indextts2", "stack": "test"}


class TestCheap:
    def test_there_is_no_gateway(self):
        recorder, _ = network(network={"private": False})
        assert not recorder.all_of_type(":NatGateway")
        assert not recorder.all_of_type(":SnatEntry")
        assert len(recorder.all_of_type(":Switch")) == 4


class TestRules:
    def rules(self, **values):
        return [one.values for one in network(**values)[0].all_of_type(":SecurityGroupRule")]

    def test_the_load_balancers_vswitches_alone_reach_nodes_and_at_one_port(self):
        incoming = [rule for rule in self.rules() if rule["type"] == "ingress"]
        assert {(rule["cidrIp"], rule["portRange"], rule["ipProtocol"]) for rule in incoming} == {
            (zone.load_balancer, f"{SERVER_PORT}/{SERVER_PORT}", "tcp")
            for zone in plan_subnets("10.20.0.0/16", ("cn-hangzhou-h", "cn-hangzhou-i"))
        }
        assert all(rule["policy"] == "accept" for rule in incoming)

    def test_nodes_do_not_reach_each_other(self):
        assert network()[0].of_type(":SecurityGroup").values["innerAccessPolicy"] == "Drop"

    def test_out_are_the_clouds_services_and_https_and_then_nothing(self):
        outgoing = sorted((rule for rule in self.rules() if rule["type"] == "egress"), key=lambda one: one["priority"])
        assert [(rule["policy"], rule["cidrIp"], rule["portRange"]) for rule in outgoing] == [
            ("accept", "100.64.0.0/10", "-1/-1"),
            ("accept", "0.0.0.0/0", "443/443"),
            ("drop", "0.0.0.0/0", "-1/-1"),
        ]

    def test_each_has_a_label_of_its_own(self):
        labels = [rule.label for rule in node_rules(ZONES)]
        assert len(set(labels)) == len(labels)


class TestExisting:
    def test_only_the_group_is_made_and_its_rules_name_the_vswitches_ranges(self):
        recorder, outputs = network(network=VPC)
        assert {one.type for one in recorder.registered.values() if one.custom} == {
            "alicloud:ecs/securityGroup:SecurityGroup",
            "alicloud:ecs/securityGroupRule:SecurityGroupRule",
        }
        assert outputs["vpc"] == VPC["vpcId"]
        assert outputs["nodes"] == list(OWN)
        assert outputs["balancers"] == dict(zip(("cn-hangzhou-h", "cn-hangzhou-i"), OWN, strict=True))
        assert recorder.of_type(":SecurityGroup").values["vpcId"] == VPC["vpcId"]
        incoming = [one.values for one in recorder.all_of_type(":SecurityGroupRule") if one.values["type"] == "ingress"]
        assert [rule["cidrIp"] for rule in incoming] == ["10.9.0.0/24", "10.9.1.0/24"]

    def test_the_load_balancer_can_have_others(self):
        recorder, outputs = network(network={**VPC, "loadBalancerSubnetIds": list(BALANCERS)})
        assert list(outputs["balancers"].values()) == list(BALANCERS)
        incoming = [one.values for one in recorder.all_of_type(":SecurityGroupRule") if one.values["type"] == "ingress"]
        assert [rule["cidrIp"] for rule in incoming] == ["10.9.2.0/24", "10.9.3.0/24"]
