"""What stops a preview on Alibaba Cloud before anything is made: what the account is sold, its quotas and images, the
registry, the schedule's end."""

import datetime

import pulumi
import pytest

from components.alicloud import account
from components.alicloud.account import Image, Quota
from components.alicloud.checks import check, room_problem, schedule_problem, schedule_warning
from components.alicloud.provider import all_tags, bound_to_region, providers
from components.alicloud.quotas import on_demand_nodes, quota_problem
from components.alicloud.survey import survey
from components.alicloud.zones import Offers, vswitch_problems, zone_problems
from components.settings import SettingsError
from tests.unit.alicloud.one_part import ACCOUNT, DIGEST, ENTERPRISE, alicloud_settings, register

T4 = "ecs.gn6i-c4g1.xlarge"
A10 = "ecs.gn7i-c8g1.2xlarge"
OWN = ("vsw-bp1s5fnvk4gn3tws03624", "vsw-bp1hdfpuhtjg0v8r2hl6x")
VPC = {"vpcId": "vpc-bp1aevy8sofi8mh1q5cs6", "subnetIds": list(OWN)}
EVERYWHERE = frozenset(f"cn-hangzhou-{letter}" for letter in "ghij")
TODAY = datetime.date(2026, 11, 22)


def zones(letters):
    return frozenset(f"cn-hangzhou-{letter}" for letter in letters)


def offers(sold, stock=None):
    """Zones by their letters, of each type: {T4: "hi"}. What is not said to be in stock is all of what is sold."""
    by_zone = {zone: frozenset(name for name, letters in sold.items() if zone in zones(letters)) for zone in EVERYWHERE}
    return Offers(by_zone, {name: zones(letters) for name, letters in (sold if stock is None else stock).items()})


class TestZones:
    def test_zones_that_sell_a_type_are_no_problem(self):
        assert zone_problems(alicloud_settings(), offers({T4: "hi"}), EVERYWHERE) == ([], [])

    def test_types_add_up(self):
        settings = alicloud_settings(instanceTypes=[T4, A10])
        assert zone_problems(settings, offers({T4: "h", A10: "i"}), EVERYWHERE) == ([], [])

    def test_a_zone_that_sells_none_is_named_with_those_that_do(self):
        ((problem,), _) = zone_problems(alicloud_settings(), offers({T4: "hjg"}), EVERYWHERE)
        assert problem.startswith(
            "indextts2:zones: ['cn-hangzhou-h', 'cn-hangzhou-i']: cn-hangzhou-i sells none of ecs.gn6i-c4g1.xlarge"
        )
        assert problem.endswith("those that do are cn-hangzhou-g, cn-hangzhou-h, cn-hangzhou-j")

    def test_a_zone_without_load_balancers_is_named_with_those_that_do_both(self):
        ((problem,), _) = zone_problems(alicloud_settings(), offers({T4: "hij"}), zones("hjg"))
        assert (
            "in cn-hangzhou-i there can be no load balancer; those that do are cn-hangzhou-h, cn-hangzhou-j" in problem
        )

    def test_no_zones_are_chosen_but_named(self):
        ((problem,), _) = zone_problems(alicloud_settings(checks=True, zones=[]), offers({T4: "hij"}), EVERYWHERE)
        assert problem.startswith("indextts2:zones: []: is empty; name two zones or more")
        assert problem.endswith("those that do are cn-hangzhou-h, cn-hangzhou-i, cn-hangzhou-j")

    def test_a_type_that_is_not_sold_is_named_with_those_that_are(self):
        settings = alicloud_settings(instanceTypes=[A10, T4])
        ((problem,), _) = zone_problems(settings, offers({T4: "hi", "ecs.gn6i-c8g1.2xlarge": "h"}), EVERYWHERE)
        assert problem == (
            f"indextts2:instanceTypes: '{A10}': is not sold in cn-hangzhou; use one of {T4}, ecs.gn6i-c8g1.2xlarge, or "
            "choose another region"
        )

    def test_a_region_without_gpus(self):
        ((problem,), _) = zone_problems(alicloud_settings(), offers({}), EVERYWHERE)
        assert "it sells no GPU that a node can be; choose another region" in problem

    def test_one_zone_is_not_enough(self):
        ((problem,), _) = zone_problems(alicloud_settings(checks=True, zones=[]), offers({T4: "h"}), EVERYWHERE)
        assert "fewer than two zones of cn-hangzhou do; add a type, or choose another region" in problem

    def test_what_is_sold_out_is_a_warning_and_moves_nothing(self):
        problems, (warning,) = zone_problems(alicloud_settings(), offers({T4: "hi"}, {T4: "h"}), EVERYWHERE)
        assert problems == []
        assert warning.startswith(f"indextts2:zones: cn-hangzhou-i: {T4} is sold out there now")

    def test_sold_out_everywhere_is_a_warning_too(self):
        problems, warnings = zone_problems(alicloud_settings(), offers({T4: "hi"}, {}), EVERYWHERE)
        assert (problems, len(warnings)) == ([], 1)

    def test_what_only_the_stock_lists_is_sold(self):
        assert zone_problems(alicloud_settings(), offers({}, {T4: "hi"}), None) == ([], [])


class TestExistingNetwork:
    def test_vswitches_in_the_order_of_zones_are_no_problem(self):
        places = {OWN[0]: (VPC["vpcId"], "cn-hangzhou-h"), OWN[1]: (VPC["vpcId"], "cn-hangzhou-i")}
        assert vswitch_problems(alicloud_settings(network=VPC), places) == []

    def test_another_order_another_vpc_and_none_are_all_said(self):
        settings = alicloud_settings(network={**VPC, "loadBalancerSubnetIds": [OWN[1], "vsw-bp1cccccccccccccccccc"]})
        places = {OWN[0]: (VPC["vpcId"], "cn-hangzhou-i"), OWN[1]: ("vpc-other", "cn-hangzhou-h")}
        first, second, third, fourth = vswitch_problems(settings, places)
        assert "is in cn-hangzhou-i, and its place in the list is that of cn-hangzhou-h" in first
        assert "is in vpc-other and not in network.vpcId" in second
        assert third.startswith(f"indextts2:network.loadBalancerSubnetIds: '{OWN[1]}':")
        assert "cannot be found in cn-hangzhou; correct the id, or the region" in fourth


class TestQuotas:
    def test_with_spot_only_the_base_is_surely_on_demand(self):
        nodes = {"max": 4, "onDemandBase": 1}
        assert on_demand_nodes(alicloud_settings(nodes={**nodes, "spot": True})) == 1
        assert on_demand_nodes(alicloud_settings(nodes={**nodes, "spot": False})) == 4

    def test_zones_and_types_add_up(self):
        settings = alicloud_settings(nodes={"max": 3, "spot": False}, instanceTypes=[T4, A10])
        known = {
            (T4, "cn-hangzhou-h"): Quota(4, "vCPU"),
            (T4, "cn-hangzhou-i"): Quota(7, "vCPU"),
            (A10, "cn-hangzhou-h"): Quota(8, "vCPU"),
        }
        assert quota_problem(settings, known) is None

    def test_too_small_a_quota_says_what_there_is_and_where_to_ask(self):
        problem = quota_problem(
            alicloud_settings(nodes={"max": 2, "spot": False}), {(T4, "cn-hangzhou-h"): Quota(4, "vCPU")}
        )
        assert problem is not None
        assert problem.startswith("indextts2:nodes.max: 2: the account may run 1 nodes on demand (4 vCPU of")
        assert "ask for more in Quota Center" in problem

    def test_a_quota_of_instances_is_counted_as_such(self):
        settings = alicloud_settings(nodes={"max": 2, "spot": False})
        assert quota_problem(settings, {(T4, "cn-hangzhou-h"): Quota(2, "Count")}) is None


class TestBeforeTheAccount:
    def schedule(self, until):
        return alicloud_settings(schedule={"up": "09:00", "down": "19:00", "until": until})

    @pytest.mark.parametrize("until", ["2026-11-23", "2027-11-22"])
    def test_a_schedule_may_end_within_a_year(self, until):
        assert schedule_problem(self.schedule(until), TODAY) is None

    def test_one_past_its_year_is_told_the_latest_day(self):
        problem = schedule_problem(self.schedule("2027-11-23"), TODAY)
        assert problem is not None
        assert "is more than a year ahead" in problem
        assert problem.endswith("give 2027-11-22 at most")

    @pytest.mark.parametrize("until", ["2026-11-22", "2020-01-01"])
    def test_one_that_is_over_is_refused(self, until):
        problem = schedule_problem(self.schedule(until), TODAY)
        assert problem is not None
        assert f"indextts2:schedule.until: '{until}': is over" in problem

    @pytest.mark.parametrize(("until", "warned"), [("2027-01-21", True), ("2027-01-22", False)])
    def test_its_end_is_warned_of_within_sixty_days(self, until, warned):
        warning = schedule_warning(self.schedule(until), TODAY)
        assert (warning is not None) is warned
        if warning:
            assert "the schedule ends in 60 days" in warning
            assert "pulumi config set --path indextts2:schedule.until 2027-11-22" in warning

    def test_without_a_schedule_nothing_ends(self):
        assert schedule_problem(alicloud_settings(), TODAY) is schedule_warning(alicloud_settings(), TODAY) is None

    def test_a_network_that_is_too_small_for_its_nodes(self):
        settings = alicloud_settings(nodes={"max": 60}, network={"cidr": "10.20.0.0/22"})
        problem = room_problem(settings)
        assert problem is not None
        assert "has room for 56 nodes in 2 zones, and nodes.max is 60; use a larger range" in problem
        assert room_problem(alicloud_settings(nodes={"max": 60})) is None
        assert room_problem(alicloud_settings(nodes={"max": 60}, network={**VPC, "cidr": "10.20.0.0/22"})) is None

    def test_all_are_said_at_once(self):
        settings = alicloud_settings(
            nodes={"max": 60},
            network={"cidr": "10.20.0.0/22"},
            schedule={"up": "09:00", "down": "19:00", "until": "2020-01-01"},
        )
        with pytest.raises(SettingsError) as caught:
            check(settings, "test")
        assert [text.split(": ")[0] for text in caught.value.problems] == [
            "indextts2:schedule.until",
            "indextts2:network.cidr",
        ]

    def test_plain_http_is_warned_of(self, monkeypatch):
        warned = []
        monkeypatch.setattr(pulumi.log, "warn", warned.append)
        check(alicloud_settings(), "test")
        assert len(warned) == 1
        assert "203.0.113.0/24" in warned[0]


GPU_IMAGE = "ubuntu_22_04_x64_100G_with_gpu_driver_and_cuda_alibase_20260701.vhd"


@pytest.fixture
def answers(monkeypatch):
    """An account that can carry everything; a test changes an answer, an exception is raised."""
    given = {
        "account_id": ACCOUNT,
        "types_by_zone": offers({T4: "hij"}).sold,
        "zones_in_stock": {T4: zones("hij")},
        "load_balancer_zones": EVERYWHERE,
        "vswitch_places": {OWN[0]: (VPC["vpcId"], "cn-hangzhou-h"), OWN[1]: (VPC["vpcId"], "cn-hangzhou-i")},
        "newest_gpu_image": GPU_IMAGE,
        "image": Image("x86_64", 100),
        "public_domain": True,
        "registry_hosts": frozenset([ENTERPRISE["host"], ENTERPRISE["nodeHost"]]),
        "kms_instances": frozenset(["kst-hzz65f176a0ogplgq23ab"]),
        "type_quota": Quota(64, "vCPU"),
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


@pytest.fixture
def warned(monkeypatch):
    texts: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", texts.append)
    monkeypatch.setattr(pulumi.log, "info", lambda _text: None)
    return texts


def ask(**values):
    return survey(alicloud_settings(**{"checks": True, "systemImage": "", "accountId": "", **values}), [None])


def problems(**values):
    with pytest.raises(SettingsError) as caught:
        ask(**values)
    return caught.value.problems


DENIED = Exception("invoke failed:\n\tForbidden.RAM: User not authorized")


@pytest.mark.usefixtures("warned")
class TestSurvey:
    def test_it_fills_in_the_account_and_the_image_and_leaves_the_zones(self, answers):
        settings = ask()
        assert (settings.account, settings.system_image) == (ACCOUNT, GPU_IMAGE)
        assert settings.zones == ("cn-hangzhou-h", "cn-hangzhou-i")

    def test_what_the_stack_pins_stays(self, answers):
        pinned = "m-bp1234567890abcdefgh"
        assert ask(systemImage=pinned).system_image == pinned

    def test_several_problems_are_said_at_once(self, answers):
        answers.update(
            types_by_zone={},
            zones_in_stock={},
            image=Image("arm64", 100),
            public_domain=False,
            registry_hosts=None,
            kms_instances=frozenset(),
            type_quota=Quota(0, "vCPU"),
        )
        found = problems(
            registry=ENTERPRISE,
            image=f"{ENTERPRISE['nodeHost']}/speech/server@{DIGEST}",
            secrets={"kind": "kms", "kmsInstance": "kst-hzz65f176a0ogplgq23ab"},
            nodes={"onDemandBase": 1},
            access={"domain": "a.example.com", "certificate": "12345678-cn-hangzhou", "hostedZone": "example.com"},
        )
        assert [text.split(": ")[0] for text in found] == [
            "indextts2:systemImage",
            "indextts2:instanceTypes",
            "indextts2:nodes.onDemandBase",
            "indextts2:access.hostedZone",
            "indextts2:registry.instanceId",
            "indextts2:secrets.kmsInstance",
        ]

    def test_another_account_is_the_only_thing_said(self, answers):
        answers["type_quota"] = Quota(0, "vCPU")
        (problem,) = problems(accountId="6543210987654321", nodes={"onDemandBase": 1})
        assert problem.startswith(f"indextts2:accountId: '6543210987654321': the credentials in use are of {ACCOUNT}")

    def test_credentials_that_are_none(self, answers):
        answers["account_id"] = Exception("InvalidAccessKeyId.NotFound")
        (problem,) = problems()
        assert problem.startswith(
            "indextts2:target: 'alicloud': the credentials in use are not valid: InvalidAccessKey"
        )

    @pytest.mark.parametrize("name", ["types_by_zone", "zones_in_stock"])
    def test_offers_that_may_not_be_asked_are_a_warning_where_zones_are_named_and_a_problem_where_not(
        self, answers, warned, name
    ):
        answers[name] = DENIED
        ask()
        (warning,) = warned
        assert "whether they sell the instance types is not known: invoke failed: Forbidden.RAM" in warning
        (problem,) = problems(zones=[])
        assert problem.startswith("indextts2:zones: []: is empty; name two zones or more")

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("load_balancer_zones", {}),
            ("type_quota", {"nodes": {"onDemandBase": 1}}),
            (
                "registry_hosts",
                {"registry": ENTERPRISE, "image": f"{ENTERPRISE['nodeHost']}/speech/server@{DIGEST}"},
            ),
            ("kms_instances", {"secrets": {"kind": "kms", "kmsInstance": "kst-hzz65f176a0ogplgq23ab"}}),
        ],
    )
    def test_what_the_stack_can_do_without_is_a_warning(self, answers, warned, name, values):
        answers[name] = DENIED
        ask(**values)
        (warning,) = warned
        assert "not known: invoke failed: Forbidden.RAM: User not authorized" in warning

    def test_an_image_that_may_not_be_asked_or_is_not_there_must_be_given(self, answers):
        for answer, said in ((DENIED, "Forbidden.RAM"), (None, "cn-hangzhou has none")):
            answers["newest_gpu_image"] = answer
            (problem,) = problems()
            assert problem.startswith("indextts2:systemImage: '': cannot be looked up, give an image's id:")
            assert said in problem

    def test_an_image_larger_than_the_disk(self, answers):
        answers["image"] = Image("x86_64", 200)
        (problem,) = problems()
        assert "needs a disk of 200 GiB, and disk.gib is 130; raise disk.gib" in problem

    def test_an_image_of_another_region(self, answers):
        answers["image"] = None
        (problem,) = problems(systemImage="m-bp1234567890abcdefgh")
        assert "cannot be found in cn-hangzhou: there is no such image" in problem

    def test_hosts_that_the_instance_does_not_have(self, answers):
        answers["registry_hosts"] = frozenset([ENTERPRISE["host"]])
        (problem,) = problems(registry=ENTERPRISE, image=f"{ENTERPRISE['nodeHost']}/speech/server@{DIGEST}")
        assert problem.startswith(f"indextts2:registry.nodeHost: '{ENTERPRISE['nodeHost']}': is no host of cri-")

    def test_an_existing_network_is_looked_at(self, answers):
        ask(network=VPC)
        answers["vswitch_places"] = {}
        assert all("cannot be found in cn-hangzhou" in text for text in problems(network=VPC))
        answers["vswitch_places"] = DENIED
        (problem,) = problems(network=VPC)
        assert "cannot be looked up: invoke failed: Forbidden.RAM" in problem

    def test_a_quota_that_is_not_listed_is_a_warning(self, answers, warned):
        answers["type_quota"] = None
        ask(nodes={"onDemandBase": 1})
        assert "Quota Center does not list it" in warned[0]


class TestQuestions:
    """The account's own calls, by the SDK: what they ask and how their answers are read."""

    def asked(self, question, token, answer, *arguments):
        recorder, found = register(
            lambda: {"found": question(*arguments, pulumi.InvokeOptions())}, calls={token: {"id": "1", **answer}}
        )
        assert not recorder.refused
        return found["found"]

    def test_the_account(self):
        answer = {"accountId": ACCOUNT, "arn": f"acs:ram::{ACCOUNT}:user/a", "identityType": "RAMUser"}
        assert self.asked(account.account_id, "alicloud:index/getCallerIdentity:getCallerIdentity", answer) == ACCOUNT

    def test_types_are_grouped_by_zone(self):
        zone = {
            "availableDiskCategories": [],
            "availableInstanceTypes": [T4],
            "availableResourceCreations": ["Instance"],
            "id": "cn-hangzhou-h",
            "localName": "",
            "multiZoneIds": [],
            "slbSlaveZoneIds": [],
        }
        answer = {"ids": ["cn-hangzhou-h"], "zones": [zone]}
        found = self.asked(account.types_by_zone, "alicloud:index/getZones:getZones", answer)
        assert found == {"cn-hangzhou-h": {T4}}

    def test_what_is_in_stock_is_grouped_by_type(self):
        answer = {"ids": [T4], "instanceTypes": [{"id": T4, "availabilityZones": ["cn-hangzhou-h", "cn-hangzhou-i"]}]}
        token = "alicloud:ecs/getInstanceTypes:getInstanceTypes"
        assert self.asked(account.zones_in_stock, token, answer, "ecs.gn6i") == {T4: zones("hi")}

    def test_vswitches(self):
        answer = {"names": [], "vswitches": [{"id": OWN[0], "vpcId": VPC["vpcId"], "zoneId": "cn-hangzhou-h"}]}
        token = "alicloud:vpc/getSwitches:getSwitches"
        assert self.asked(account.vswitch_places, token, answer, OWN) == {OWN[0]: (VPC["vpcId"], "cn-hangzhou-h")}

    def test_images(self):
        token = "alicloud:ecs/getImages:getImages"
        there = {"ids": [GPU_IMAGE], "images": [{"imageId": GPU_IMAGE, "architecture": "x86_64", "size": 100}]}
        none = {"ids": [], "images": []}
        assert self.asked(account.newest_gpu_image, token, there) == GPU_IMAGE
        assert self.asked(account.newest_gpu_image, token, none) is None
        assert self.asked(account.image, token, there, GPU_IMAGE) == Image("x86_64", 100)
        assert self.asked(account.image, token, none, GPU_IMAGE) is None

    def test_a_registrys_hosts(self):
        token = "alicloud:cs/getRegistryEnterpriseInstances:getRegistryEnterpriseInstances"
        instance = {"publicEndpoints": [ENTERPRISE["host"]], "vpcEndpoints": [ENTERPRISE["nodeHost"]]}
        found = self.asked(
            account.registry_hosts, token, {"names": [], "instances": [instance]}, "cri-0123456789abcdef"
        )
        assert found == {ENTERPRISE["host"], ENTERPRISE["nodeHost"]}
        assert self.asked(account.registry_hosts, token, {"names": [], "instances": []}, "cri-1") is None

    def test_kms_instances(self):
        answer = {"ids": ["kst-1"], "instances": [{"instanceId": "kst-1"}]}
        assert self.asked(account.kms_instances, "alicloud:kms/getInstances:getInstances", answer) == {"kst-1"}

    def test_load_balancers_zones(self):
        answer = {"ids": ["cn-hangzhou-h"], "zones": [{"id": "1", "localName": "", "zoneId": "cn-hangzhou-h"}]}
        assert self.asked(account.load_balancer_zones, "alicloud:alb/getZones:getZones", answer) == {"cn-hangzhou-h"}

    def test_a_domain_is_asked_whole(self):
        answer = {"domains": [], "ids": [], "names": ["example.com"]}
        token = "alicloud:dns/getAlidnsDomains:getAlidnsDomains"
        assert self.asked(account.public_domain, token, answer, "example.com")
        assert not self.asked(account.public_domain, token, answer, "ample.com")

    def test_a_quota(self):
        quota = {
            "adjustable": True,
            "applicableRanges": [],
            "applicableType": "",
            "consumable": True,
            "id": f"ecs-spec:{T4}",
            "quotaActionCode": T4,
            "quotaDescription": "",
            "quotaName": T4,
            "quotaType": "",
            "quotaUnit": "vCPU",
            "totalQuota": 64.0,
            "totalUsage": 0.0,
            "unadjustableDetail": "",
        }
        token = "alicloud:quotas/getQuotas:getQuotas"
        where = (T4, "cn-hangzhou-h", "cn-hangzhou")
        found = self.asked(account.type_quota, token, {"ids": [], "names": [], "quotas": [quota]}, *where)
        assert found == Quota(64.0, "vCPU")
        assert self.asked(account.type_quota, token, {"ids": [], "names": [], "quotas": []}, *where) is None


class TestProvider:
    def test_it_is_named_after_its_region_and_signs_as_new_buckets_want(self):
        def make():
            (provider,) = providers(alicloud_settings())
            return {"provider": provider.urn}

        recorder, _ = register(make)
        (provider,) = recorder.all_of_type("pulumi:providers:alicloud")
        assert provider.name == "alicloud-cn-hangzhou"
        assert provider.values["region"] == "cn-hangzhou"
        assert "v4" in str(provider.values["signVersion"])

    @pytest.mark.parametrize(
        ("kind", "bound"),
        [
            ("alicloud:vpc/network:Network", True),
            ("alicloud:ram/role:Role", True),
            ("alicloud:dns/alidnsRecord:AlidnsRecord", False),
            ("docker:index/image:Image", False),
            ("pulumi:providers:alicloud", False),
            ("indextts2:alicloud:Network", False),
        ],
    )
    def test_what_moves_with_the_region(self, kind, bound):
        assert bound_to_region(kind) is bound

    def test_tags_are_the_stacks_and_the_programs(self):
        settings = alicloud_settings(tags={"costCenter": "dubbing"})
        assert all_tags(settings, "prod-cn") == {"costCenter": "dubbing", "project": "indextts2", "stack": "prod-cn"}
