"""The load balancer: who gets in, by what, and to which node."""

import json

import pytest

from components.alicloud.load_balancer import NO_KEY, TLS_POLICY
from components.alicloud.timing import DRAIN_CONNECTIONS_SECONDS, LONGEST_SYNTHESIS_SECONDS
from tests.unit.alicloud.every_part import every_part

CERTIFICATE = "12345678-cn-hangzhou"
GIVEN = {"access": {"domain": "speech.example.com", "certificate": CERTIFICATE}}
ZONE = {"access": {**GIVEN["access"], "hostedZone": "example.com"}}
SOME = {"access": {**GIVEN["access"], "allowedCidrs": ["203.0.113.0/24", "198.51.100.7/32"]}}


def listeners(**values):
    return {one.values["listenerPort"]: one for one in every_part(**values)[0].all_of_type("alb/listener:Listener")}


def rules(**values):
    """Each rule's condition and action, by the port of its listener and its priority."""
    recorder, _ = every_part(**values)
    names = {"speech-redirect": 80}
    most = max(listeners(**values))
    return {
        (names.get(one.name, most), one.values["priority"]): (
            one.values["ruleConditions"][0],
            one.values["ruleActions"][0],
        )
        for one in recorder.all_of_type("alb/rule:Rule")
    }


class TestTls:
    @pytest.mark.parametrize("values", [GIVEN, ZONE])
    def test_port_80_only_sends_to_443(self, values):
        assert set(listeners(**values)) == {80, 443}
        condition, action = rules(**values)[80, 10]
        assert condition["pathConfig"] == {"values": ["/*"]}
        assert action["type"] == "Redirect"
        assert action["redirectConfig"] == {"protocol": "HTTPS", "port": "443", "httpCode": "301"}

    def test_443_speaks_modern_tls_with_the_given_certificate(self):
        made = listeners(**GIVEN)[443].values
        assert (made["listenerProtocol"], made["securityPolicyId"]) == ("HTTPS", TLS_POLICY)
        assert made["certificates"] in ({"certificateId": CERTIFICATE}, [{"certificateId": CERTIFICATE}])
        assert TLS_POLICY.endswith("strict_with_1_3")

    def test_the_domain_leads_to_the_load_balancer_where_its_zone_is_known(self):
        record = every_part(**ZONE)[0].of_type(":AlidnsRecord").values
        assert (record["domainName"], record["rr"], record["type"]) == ("example.com", "speech", "CNAME")
        assert record["value"].endswith(".aliyuncsslb.com")
        assert not every_part(**GIVEN)[0].all_of_type(":AlidnsRecord")

    def test_the_address_is_the_domain(self):
        assert every_part(**GIVEN)[1]["url"] == "https://speech.example.com"
        assert every_part(**GIVEN)[1]["health_url"] == "https://speech.example.com/readyz"


class TestClients:
    def test_plain_http_is_for_the_named_addresses(self):
        recorder, outputs = every_part()
        assert set(listeners()) == {80}
        assert outputs["url"].startswith("http://")
        assert [one.values["entry"] for one in recorder.all_of_type(":AclEntryAttachment")] == ["203.0.113.0/24"]
        assert recorder.of_type(":ListenerAclAttachment").values["aclType"] == "White"

    def test_both_ports_are_closed_to_others(self):
        recorder, _ = every_part(**SOME)
        assert {one.values["entry"] for one in recorder.all_of_type(":AclEntryAttachment")} == {
            "203.0.113.0/24",
            "198.51.100.7/32",
        }
        assert len(recorder.all_of_type(":ListenerAclAttachment")) == 2

    def test_a_list_takes_effect_only_once_it_is_full(self):
        recorder, _ = every_part(**SOME)
        entries = {one.urn for one in recorder.all_of_type(":AclEntryAttachment")}
        assert all(entries <= set(one.depends_on) for one in recorder.all_of_type(":ListenerAclAttachment"))

    def test_a_service_for_all_has_no_list(self):
        recorder, _ = every_part(**GIVEN)
        assert not recorder.all_of_type("alb/acl:Acl")
        assert not recorder.all_of_type(":ListenerAclAttachment")


class TestRules:
    @pytest.mark.parametrize("values", [{}, GIVEN])
    def test_what_brings_no_key_ends_at_the_load_balancer(self, values):
        found = rules(**values)
        last = max(found)
        condition, action = found[last]
        assert condition["pathConfig"] == {"values": ["/*"]}
        assert action["type"] == "FixedResponse"
        assert action["fixedResponseConfig"] == {
            "content": NO_KEY,
            "contentType": "application/json",
            "httpCode": "401",
        }
        assert all(action["type"] == "ForwardGroup" for place, (_, action) in found.items() if place[1] in (20,))

    def test_it_is_told_in_the_servers_own_form_within_what_a_rule_says(self):
        assert set(json.loads(NO_KEY)["error"]) == {"message", "type", "param", "code"}
        assert len(NO_KEY) <= 1024
        assert NO_KEY.isascii()

    def test_a_key_or_a_health_page_reaches_a_node(self):
        found = rules()
        keyed, to = found[80, 10]
        assert keyed == {"type": "Header", "headerConfig": {"key": "Authorization", "values": ["Bearer ?*"]}}
        assert to["type"] == "ForwardGroup"
        pages, to = found[80, 20]
        assert pages == {"type": "Path", "pathConfig": {"values": ["/healthz", "/readyz"]}}
        assert to["type"] == "ForwardGroup"


class TestLoadBalancer:
    def balancer(self, **values):
        return every_part(**values)[0].of_type("alb/loadBalancer:LoadBalancer")

    def test_it_stands_in_two_zones_and_is_of_the_edition_that_has_rules(self):
        made = self.balancer().values
        assert {one["zoneId"] for one in made["zoneMappings"]} == {"cn-hangzhou-h", "cn-hangzhou-i"}
        assert (made["loadBalancerEdition"], made["addressType"]) == ("Standard", "Internet")

    def test_it_waits_longer_than_the_longest_synthesis(self):
        for listener in listeners(**GIVEN).values():
            assert LONGEST_SYNTHESIS_SECONDS < listener.values["requestTimeout"] <= 600

    def test_every_request_is_logged(self):
        recorder, _ = every_part()
        logged = self.balancer().values["accessLogConfig"]
        assert logged["logStore"] == "alb_access"
        assert logged["logProject"] == recorder.of_type("log/project:Project").values["projectName"]

    @pytest.mark.parametrize("protect", [True, False])
    def test_production_cannot_be_deleted_by_mistake(self, protect):
        made = self.balancer(protect=protect)
        assert made.values["deletionProtectionConfig"]["enabled"] is protect
        assert made.protect is protect

    def test_its_names_are_within_what_the_service_takes(self):
        recorder, _ = every_part()
        for name in (
            self.balancer().values["loadBalancerName"],
            recorder.of_type(":ServerGroup").values["serverGroupName"],
            *(one.values["ruleName"] for one in recorder.all_of_type("alb/rule:Rule")),
        ):
            assert 2 <= len(name) <= 128


class TestNodes:
    def nodes(self):
        return every_part()[0].of_type("alb/serverGroup:ServerGroup")

    def test_a_request_goes_to_the_node_with_the_fewest(self):
        assert self.nodes().values["scheduler"] == "Wlc"

    def test_who_is_in_it_the_scaling_group_says(self):
        made = self.nodes()
        assert "servers" not in made.values
        assert made.ignore_changes == ("servers",)
        attached = every_part()[0].of_type(":AlbServerGroupAttachment").values
        assert (attached["port"], attached["forceAttach"]) == (8000, True)
        assert attached["weight"] > 0

    def test_a_node_that_leaves_may_finish(self):
        drain = self.nodes().values["connectionDrainConfig"]
        assert drain == {"connectionDrainEnabled": True, "connectionDrainTimeout": DRAIN_CONNECTIONS_SECONDS}

    def test_a_node_is_asked_whether_it_is_ready(self):
        check = self.nodes().values["healthCheckConfig"]
        assert (check["healthCheckPath"], check["healthCheckMethod"]) == ("/readyz", "GET")
        assert check["healthCheckCodes"] == ["http_2xx"]
        assert check["healthCheckTimeout"] < check["healthCheckInterval"]
