"""The load balancer: who gets in, by what, and to which node."""

import json

import pytest

from components.aws.load_balancer import NO_KEY, TLS_POLICY
from components.aws.timing import DEREGISTRATION_SECONDS, IDLE_TIMEOUT_SECONDS, LONGEST_SYNTHESIS_SECONDS
from tests.unit.aws.whole_stack import whole_stack

CERTIFICATE = "arn:aws:acm:us-west-2:123456789012:certificate/0123"
GIVEN = {"access": {"domain": "speech.example.com", "certificate": CERTIFICATE}}
ISSUED = {"access": {"domain": "speech.example.com", "hostedZone": "Z0123456789ABCDEFGHIJ"}}
BOTH = {"access": {**GIVEN["access"], **ISSUED["access"]}}


def listeners(**values):
    return {one.values["port"]: one.values for one in whole_stack(**values)[0].all_of_type("lb/listener:Listener")}


class TestTls:
    @pytest.mark.parametrize("values", [GIVEN, ISSUED, BOTH])
    def test_port_80_only_sends_to_443(self, values):
        made = listeners(**values)
        assert set(made) == {80, 443}
        (action,) = made[80]["defaultActions"]
        assert action["type"] == "redirect"
        assert action["redirect"] == {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"}

    @pytest.mark.parametrize("values", [GIVEN, ISSUED, BOTH])
    def test_443_speaks_modern_tls(self, values):
        made = listeners(**values)[443]
        assert (made["protocol"], made["sslPolicy"]) == ("HTTPS", TLS_POLICY)
        assert TLS_POLICY.startswith("ELBSecurityPolicy-TLS13-1-2")

    def test_browsers_are_told_to_stay_with_tls(self):
        header = "routingHttpResponseStrictTransportSecurityHeaderValue"
        assert listeners(**GIVEN)[443][header] == "max-age=31536000"

    def test_a_given_certificate_is_used_as_it_is(self):
        assert listeners(**GIVEN)[443]["certificateArn"] == CERTIFICATE
        assert not whole_stack(**GIVEN)[0].all_of_type("acm/certificate:Certificate")
        assert listeners(**BOTH)[443]["certificateArn"] == CERTIFICATE

    def test_another_is_issued_and_proved_in_the_zone_before_it_is_used(self):
        recorder, _ = whole_stack(**ISSUED)
        certificate = recorder.of_type("acm/certificate:Certificate").values
        assert certificate == {"domainName": "speech.example.com", "validationMethod": "DNS"}
        proof = recorder.named("speech-certificate-proof").values
        assert proof["zoneId"] == "Z0123456789ABCDEFGHIJ"
        assert proof["allowOverwrite"] is True
        issued = recorder.of_type(":CertificateValidation")
        assert proof["records"]
        https = recorder.named("speech-https")
        assert issued.urn in https.depends_on

    def test_the_domain_leads_to_the_load_balancer_where_the_zone_is_known(self):
        for values in (ISSUED, BOTH):
            record = whole_stack(**values)[0].named("speech-domain").values
            assert (record["name"], record["type"]) == ("speech.example.com", "A")
            assert len(record["aliases"]) == 1
        assert not whole_stack(**GIVEN)[0].all_of_type("route53/record:Record")

    def test_the_address_is_the_domain(self):
        assert whole_stack(**GIVEN)[1]["url"] == "https://speech.example.com"
        assert whole_stack(**GIVEN)[1]["health_url"] == "https://speech.example.com/readyz"


class TestPlainHttp:
    def test_without_a_domain_there_is_port_80_alone(self):
        assert set(listeners()) == {80}
        assert whole_stack()[1]["url"].startswith("http://")

    def test_only_the_named_addresses_reach_it(self):
        recorder, _ = whole_stack(access={"allowedCidrs": ["203.0.113.0/24", "198.51.100.7/32"]})
        rules = [one.values for one in recorder.all_of_type(":SecurityGroupIngressRule") if "cidrIpv4" in one.values]
        assert {one["cidrIpv4"] for one in rules} == {"203.0.113.0/24", "198.51.100.7/32"}


class TestRules:
    @pytest.mark.parametrize("values", [{}, GIVEN])
    def test_what_brings_no_key_ends_at_the_load_balancer(self, values):
        made = listeners(**values)
        (action,) = made[max(made)]["defaultActions"]
        assert action["type"] == "fixed-response"
        assert action["fixedResponse"]["statusCode"] == "401"
        assert action["fixedResponse"]["contentType"] == "application/json"
        assert action["fixedResponse"]["messageBody"] == NO_KEY

    def test_it_is_told_in_the_servers_own_form(self):
        assert set(json.loads(NO_KEY)["error"]) == {"message", "type", "param", "code"}
        assert len(NO_KEY) <= 1024

    def test_a_key_or_a_health_page_reaches_a_node(self):
        recorder, _ = whole_stack()
        rules = {one.values["priority"]: one.values for one in recorder.all_of_type(":ListenerRule")}
        (keyed,) = rules[10]["conditions"]
        assert keyed == {"httpHeader": {"httpHeaderName": "Authorization", "values": ["Bearer ?*"]}}
        (pages,) = rules[20]["conditions"]
        assert pages == {"pathPattern": {"values": ["/healthz", "/readyz"]}}
        assert all(rule["actions"][0]["type"] == "forward" for rule in rules.values())


class TestLoadBalancer:
    def balancer(self, **values):
        return whole_stack(**values)[0].of_type("lb/loadBalancer:LoadBalancer")

    def test_it_waits_longer_than_the_longest_synthesis(self):
        assert self.balancer().values["idleTimeout"] == IDLE_TIMEOUT_SECONDS > LONGEST_SYNTHESIS_SECONDS

    def test_headers_that_are_none_are_dropped(self):
        assert self.balancer().values["dropInvalidHeaderFields"] is True

    @pytest.mark.parametrize("protect", [True, False])
    def test_production_cannot_be_deleted_by_mistake(self, protect):
        made = self.balancer(protect=protect)
        assert made.values["enableDeletionProtection"] is protect
        assert made.protect is protect

    def test_every_request_is_logged_and_the_log_can_be_written_before(self):
        recorder, _ = whole_stack()
        made = self.balancer()
        assert made.values["accessLogs"]["enabled"] is True
        policy = recorder.named("speech-access-log-policy")
        assert policy.urn in made.depends_on
        statements = json.loads(policy.values["policy"])["Statement"]
        (writer,) = [one for one in statements if one["Effect"] == "Allow"]
        assert writer["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
        assert writer["Resource"].endswith("/AWSLogs/*")

    def test_the_log_is_encrypted_as_load_balancers_can(self):
        made = whole_stack()[0].named("speech-access-log-encryption").values
        (rule,) = made["rules"]
        assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "AES256"

    def test_it_comes_after_the_networks_way_in(self):
        recorder, _ = whole_stack()
        assert {one.urn for one in recorder.all_of_type(":InternetGateway")} <= set(self.balancer().depends_on)

    def test_its_name_is_short_enough_with_the_engines_suffix(self):
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
        for kind in ("lb/loadBalancer:LoadBalancer", "lb/targetGroup:TargetGroup"):
            made = whole_stack()[0].of_type(kind)
            assert "name" not in made.values
            assert len(made.name) + 8 <= 32


class TestTargets:
    def nodes(self):
        return whole_stack()[0].of_type("lb/targetGroup:TargetGroup").values

    def test_a_request_goes_to_the_node_with_the_fewest(self):
        assert self.nodes()["loadBalancingAlgorithmType"] == "least_outstanding_requests"
        assert "slowStart" not in self.nodes(), "it cannot be had together"

    def test_a_node_that_leaves_may_finish(self):
        assert self.nodes()["deregistrationDelay"] == DEREGISTRATION_SECONDS

    def test_a_node_is_asked_whether_it_is_ready(self):
        check = self.nodes()["healthCheck"]
        assert (check["path"], check["matcher"]) == ("/readyz", "200")
        assert check["timeout"] < check["interval"]

    def test_the_fleet_is_attached(self):
        recorder, outputs = whole_stack()
        attached = recorder.of_type(":Attachment").values
        assert attached["autoscalingGroupName"] == outputs["fleet"]
