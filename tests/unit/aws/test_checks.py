"""What stops a preview on AWS before anything is made: the zones, quotas, image and domain that the account has."""

from typing import get_args

import pulumi
import pytest

from components.aws import account
from components.aws.checks import check
from components.aws.provider import all_tags, providers
from components.aws.quotas import needs, quota_problems
from components.aws.survey import survey
from components.aws.zones import MAX_CHOSEN, choose_zones, existing_zones
from components.cloud_checks import image_problem, languages_warning, plain_http_warning
from components.image_source import INFERENCE, TARGETS, WEIGHTS_TARGETS, stages
from components.settings import EngineSettings, SettingsError
from tests.unit.aws.one_part import aws_settings, register
from tests.unit.engines import ESPEAK, INDEXTTS2

VPC = {"vpcId": "vpc-0123456789abcdef0", "subnetIds": ["subnet-0000000a", "subnet-0000000b"]}
DIGEST = "sha256:" + "0123456789abcdef" * 4


def offers(**sold):
    """Zones by their letters: g4dn_xlarge="ab"."""
    return {
        name.replace("_", "."): frozenset(f"us-west-2{letter}" for letter in letters) for name, letters in sold.items()
    }


class TestZones:
    def test_those_that_sell_a_type_are_chosen_in_order_and_not_more_than_three(self):
        settings = aws_settings(checks=True, zones=[])
        assert choose_zones(settings, offers(g4dn_xlarge="dcba")) == (("us-west-2a", "us-west-2b", "us-west-2c"), [])
        assert MAX_CHOSEN == 3

    def test_types_add_up(self):
        settings = aws_settings(checks=True, zones=[], instanceTypes=["g4dn.xlarge", "g5.xlarge"])
        zones, problems = choose_zones(settings, offers(g4dn_xlarge="b", g5_xlarge="c"))
        assert (zones, problems) == (("us-west-2b", "us-west-2c"), [])

    def test_pinned_zones_are_kept(self):
        settings = aws_settings(zones=["us-west-2d", "us-west-2a"])
        assert choose_zones(settings, offers(g4dn_xlarge="abcd")) == (("us-west-2d", "us-west-2a"), [])

    def test_a_pinned_zone_that_sells_none_is_named_with_those_that_do(self):
        (problem,) = choose_zones(aws_settings(), offers(g4dn_xlarge="bc"))[1]
        assert problem.startswith("indextts2:zones: ['us-west-2a', 'us-west-2b']: us-west-2a sells none of g4dn.xlarge")
        assert problem.endswith("those that do are us-west-2b, us-west-2c")

    def test_a_type_that_is_not_sold_is_named_with_those_that_are(self):
        settings = aws_settings(instanceTypes=["g6.xlarge", "g4dn.xlarge"])
        (problem,) = choose_zones(settings, offers(g4dn_xlarge="ab", g5_xlarge="a", g6_xlarge=""))[1]
        assert problem == (
            "indextts2:instanceTypes: 'g6.xlarge': is not sold in us-west-2; use one of g4dn.xlarge, g5.xlarge, or "
            "choose another region"
        )

    def test_a_region_without_gpus(self):
        (problem,) = choose_zones(aws_settings(), {})[1]
        assert "it sells no GPU that a node can be; choose another region" in problem

    def test_one_zone_is_not_enough(self):
        (problem,) = choose_zones(aws_settings(checks=True, zones=[]), offers(g4dn_xlarge="a"))[1]
        assert "only us-west-2a sells them, and the load balancer needs two zones" in problem


class TestExistingNetwork:
    def test_its_subnets_decide_the_zones(self):
        settings = aws_settings(checks=True, zones=[], network=VPC)
        places = {"subnet-0000000a": (VPC["vpcId"], "us-west-2c"), "subnet-0000000b": (VPC["vpcId"], "us-west-2a")}
        assert existing_zones(settings, places, offers(g4dn_xlarge="ac")) == (("us-west-2a", "us-west-2c"), [])

    def test_one_zone_another_vpc_and_zones_that_differ_are_all_said(self):
        settings = aws_settings(network=VPC)
        places = {"subnet-0000000a": (VPC["vpcId"], "us-west-2c"), "subnet-0000000b": ("vpc-1", "us-west-2c")}
        problems = existing_zones(settings, places, offers(g4dn_xlarge="abc"))[1]
        assert [text.split(": ")[0] for text in problems] == [
            "indextts2:network.subnetIds",
            "indextts2:network.subnetIds",
            "indextts2:zones",
        ]
        assert "'subnet-0000000b': is in vpc-1 and not in network.vpcId" in problems[0]
        assert "are all in us-west-2c; give one in each of two zones or more" in problems[1]

    def test_a_zone_without_the_type(self):
        settings = aws_settings(checks=True, zones=[], network=VPC)
        places = {"subnet-0000000a": (VPC["vpcId"], "us-west-2a"), "subnet-0000000b": (VPC["vpcId"], "us-west-2b")}
        (problem,) = existing_zones(settings, places, offers(g4dn_xlarge="a"))[1]
        assert "us-west-2b sells none of g4dn.xlarge" in problem


class TestQuotas:
    def test_on_demand_and_spot_are_counted_apart(self):
        settings = aws_settings(nodes={"min": 1, "max": 4, "onDemandBase": 1, "spot": True})
        assert {need.quota.code: need.vcpus for need in needs(settings)} == {"L-DB2E81BA": 4, "L-3819A6DF": 12}

    def test_without_spot_all_are_on_demand(self):
        settings = aws_settings(nodes={"max": 2, "spot": False}, instanceTypes=["g4dn.xlarge", "g5.2xlarge"])
        assert {need.quota.code: need.vcpus for need in needs(settings)} == {"L-DB2E81BA": 16}

    def test_p_types_have_quotas_of_their_own(self):
        settings = aws_settings(
            nodes={"max": 2, "onDemandBase": 1, "spot": True}, instanceTypes=["p5.4xlarge", "p4d.24xlarge"]
        )
        assert {need.quota.code: need.vcpus for need in needs(settings)} == {
            "L-417A185B": 96,
            "L-C4BD4855": 16,
            "L-7212CCBC": 96,
        }

    def test_a_new_account_with_none_is_told_how_to_ask(self):
        (problem,) = quota_problems(aws_settings(), {"L-3819A6DF": 0})
        assert problem.startswith("indextts2:nodes.max: 1: needs 4 vCPUs of 'All G and VT Spot Instance Requests'")
        assert "and the account has 0 in us-west-2" in problem
        assert "--quota-code L-3819A6DF --desired-value 4 --region us-west-2" in problem

    def test_enough_and_unknown_are_no_problem(self):
        assert quota_problems(aws_settings(), {"L-3819A6DF": 4}) == []
        assert quota_problems(aws_settings(), {}) == []


class TestBeforeTheAccount:
    def test_without_a_dockerfile_a_ready_image_is_asked_for(self, tmp_path):
        problem = image_problem(None, "espeak", tmp_path)
        assert problem is not None
        assert "there is no" in problem
        (tmp_path / "Dockerfile").write_text("FROM base AS cpu\n")
        assert image_problem(None, "espeak", tmp_path) is None

    def test_an_engine_that_the_dockerfile_has_no_target_for(self, tmp_path):
        (tmp_path / "Dockerfile").write_text("FROM base AS indextts2-weights\n# FROM base AS indextts2\n")
        problem = image_problem(None, "indextts2", tmp_path)
        assert problem is not None
        assert "has no target indextts2" in problem
        assert image_problem(f"registry.example.com/speech@{DIGEST}", "indextts2", tmp_path) is None
        (tmp_path / "Dockerfile").write_text("FROM base AS indextts2\n")
        assert "has no target weights" in str(image_problem(None, "indextts2", tmp_path))

    def test_every_engine_has_its_target(self):
        found = stages((INFERENCE / "Dockerfile").read_text())
        assert {*TARGETS.values(), *WEIGHTS_TARGETS.values()} <= set(found)
        assert TARGETS.keys() == set(get_args(EngineSettings.model_fields["name"].annotation))

    def test_the_older_model_is_warned_of(self):
        assert "Japanese" in str(languages_warning(INDEXTTS2.model_copy(update={"version": "2"})))
        assert languages_warning(INDEXTTS2) is None
        assert languages_warning(ESPEAK) is None

    def test_with_a_ready_image_there_is_nothing_to_build(self, tmp_path):
        settings = aws_settings(image=f"registry.example.com/speech@{DIGEST}")
        assert image_problem(settings.image, "espeak", tmp_path) is None

    def test_plain_http_is_warned_of(self, monkeypatch):
        warned = []
        monkeypatch.setattr(pulumi.log, "warn", warned.append)
        check(aws_settings(image=f"registry.example.com/speech@{DIGEST}"), "test")
        assert len(warned) == 1
        assert "203.0.113.0/24" in warned[0]
        tls = {"domain": "speech.example.com", "hostedZone": "Z0123456789ABC"}
        assert plain_http_warning(aws_settings(access=tls).access) is None


@pytest.fixture
def answers(monkeypatch):
    """An account that can carry everything; a test changes an answer, an exception is raised."""
    given = {
        "account_id": "123456789012",
        "gpu_offers": offers(g4dn_xlarge="abcd"),
        "vcpu_quota": 64.0,
        "subnet_place": (VPC["vpcId"], "us-west-2a"),
        "newest_gpu_image": "ami-0fedcba9876543210",
        "image_architecture": "x86_64",
        "public_zone": ("Z0123456789ABC", "example.com"),
    }

    def answer(name):
        def answered(*_arguments):
            if isinstance(given[name], Exception):
                raise given[name]
            return given[name]

        return answered

    for name in given:
        monkeypatch.setattr(account, name, answer(name))
    return given


def ask(**values):
    settings = aws_settings(**{"checks": True, "zones": [], "ami": "", **values})
    return survey(settings, [None])


DENIED = Exception("invoke failed:\n\tAccessDeniedException: not authorized")


class TestSurvey:
    def test_it_fills_in_what_the_stack_leaves_open(self, answers):
        access = {"domain": "speech.example.com", "hostedZone": "example.com"}
        settings = ask(access=access)
        assert settings.zones == ("us-west-2a", "us-west-2b", "us-west-2c")
        assert settings.ami == "ami-0fedcba9876543210"
        assert settings.access.hosted_zone == "Z0123456789ABC"
        assert settings.access.hosted_zone_is_id

    def test_what_the_stack_pins_stays(self, answers):
        settings = ask(zones=["us-west-2d", "us-west-2a"], ami="ami-0123456789abcdef0")
        assert (settings.zones, settings.ami) == (("us-west-2d", "us-west-2a"), "ami-0123456789abcdef0")

    def test_several_problems_are_said_at_once(self, answers):
        answers.update(
            gpu_offers=offers(g5_xlarge="ab"), vcpu_quota=0.0, image_architecture="arm64", public_zone=("Z1", "x.org")
        )
        with pytest.raises(SettingsError) as caught:
            ask(ami="ami-0123456789abcdef0", access={"domain": "a.example.com", "hostedZone": "Z0123456789ABC"})
        assert [text.split(": ")[0] for text in caught.value.problems] == [
            "indextts2:instanceTypes",
            "indextts2:ami",
            "indextts2:access.hostedZone",
            "indextts2:nodes.max",
        ]

    def test_a_quota_that_may_not_be_asked_is_a_warning(self, answers, monkeypatch):
        warned = []
        monkeypatch.setattr(pulumi.log, "warn", warned.append)
        answers["vcpu_quota"] = DENIED
        ask()
        assert len(warned) == 1
        assert "is not known: invoke failed: AccessDeniedException: not authorized" in warned[0]

    def test_offers_that_may_not_be_asked_are_a_warning_where_zones_are_pinned_and_a_problem_where_not(
        self, answers, monkeypatch
    ):
        warned = []
        monkeypatch.setattr(pulumi.log, "warn", warned.append)
        answers["gpu_offers"] = DENIED
        assert ask(zones=["us-west-2a", "us-west-2b"]).zones == ("us-west-2a", "us-west-2b")
        assert len(warned) == 1
        with pytest.raises(SettingsError, match="cannot be looked up, give two or more"):
            ask()

    def test_an_image_that_may_not_be_asked_must_be_given(self, answers):
        answers["newest_gpu_image"] = DENIED
        with pytest.raises(SettingsError, match="indextts2:ami: '': cannot be looked up, give an image's id"):
            ask()

    def test_another_account_is_the_only_thing_said(self, answers):
        answers.update(account_id=Exception("AWS account ID not allowed: 1"), vcpu_quota=0.0)
        with pytest.raises(SettingsError) as caught:
            ask(accountId="123456789012")
        (problem,) = caught.value.problems
        assert problem.startswith("indextts2:accountId: '123456789012': the credentials in use are not of this account")

    def test_a_zone_that_does_not_exist(self, answers):
        answers["public_zone"] = Exception("no matching Route 53 Hosted Zone found")
        with pytest.raises(SettingsError, match="cannot be found among the account's public zones"):
            ask(access={"domain": "a.example.com", "hostedZone": "example.com"})

    def test_an_existing_network_is_looked_at(self, answers):
        with pytest.raises(SettingsError, match="are all in us-west-2a; give one in each of two zones"):
            ask(network=VPC)
        answers["subnet_place"] = Exception("no matching EC2 Subnet found")
        with pytest.raises(SettingsError, match=r"'subnet-0000000a': cannot be found in us-west-2"):
            ask(network=VPC)


class TestQuestions:
    """The account's own calls, by the SDK: what they ask and how their answers are read."""

    def test_offers_are_grouped_by_type(self):
        calls = {
            "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": {
                "id": "us-west-2",
                "instanceTypes": ["g4dn.xlarge", "g5.xlarge", "g4dn.xlarge"],
                "locationTypes": ["availability-zone"] * 3,
                "locations": ["us-west-2a", "us-west-2b", "us-west-2b"],
                "region": "us-west-2",
            }
        }
        _, found = register(lambda: {"offers": account.gpu_offers(pulumi.InvokeOptions())}, calls=calls)
        assert found["offers"]["g4dn.xlarge"] == {"us-west-2a", "us-west-2b"}
        assert found["offers"]["g5.xlarge"] == {"us-west-2b"}
        assert found["offers"]["g6.xlarge"] == frozenset()

    def test_a_zone_is_asked_by_name_or_by_id_and_named_without_its_last_dot(self):
        answer = {
            "arn": "arn:aws:route53:::hostedzone/Z0123456789ABC",
            "callerReference": "x",
            "comment": "",
            "enableAcceleratedRecovery": False,
            "id": "Z0123456789ABC",
            "linkedServiceDescription": "",
            "linkedServicePrincipal": "",
            "name": "example.com.",
            "nameServers": [],
            "primaryNameServer": "ns",
            "resourceRecordSetCount": 2,
            "tags": {},
            "zoneId": "Z0123456789ABC",
        }

        def make():
            return {
                "by name": account.public_zone("example.com", False, pulumi.InvokeOptions()),
                "by id": account.public_zone("Z0123456789ABC", True, pulumi.InvokeOptions()),
            }

        _, found = register(make, calls={"aws:route53/getZone:getZone": answer})
        assert found == {"by name": ("Z0123456789ABC", "example.com"), "by id": ("Z0123456789ABC", "example.com")}


class TestProvider:
    def test_it_is_in_the_region_with_tags_and_refuses_other_accounts(self):
        settings = aws_settings(accountId="123456789012", tags={"costCenter": "dubbing"})
        recorder, _ = register(lambda: {"made": len(providers(settings))})
        provider = recorder.of_type("pulumi:providers:aws").inputs
        assert provider["region"] == "us-west-2"
        assert "123456789012" in str(provider["allowedAccountIds"])
        assert "dubbing" in str(provider["defaultTags"])

    def test_without_an_account_any_will_do(self):
        recorder, _ = register(lambda: {"made": len(providers(aws_settings()))})
        assert "allowedAccountIds" not in recorder.of_type("pulumi:providers:aws").values

    def test_everything_says_whose_it_is(self):
        assert all_tags(aws_settings(tags={"costCenter": "dubbing"}), "prod") == {
            "project": "indextts2",
            "stack": "prod",
            "costCenter": "dubbing",
        }
