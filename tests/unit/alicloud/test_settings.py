"""The settings of an Alibaba Cloud stack: what is accepted, and what a person is told of what is not."""

import datetime
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from components.settings import PROJECT_FILE, AlicloudSettings, SettingsError, load
from components.settings.alicloud_instance_types import FAMILIES, names, problem, vcpus
from tests.unit.alicloud.one_part import DIGEST, ENTERPRISE, KEY, PERSONAL, alicloud_settings, as_config

CERTIFICATE = "12345678-cn-hangzhou"
RANGES = ["203.0.113.0/24"]
VPC = {"vpcId": "vpc-bp1aevy8sofi8mh1q5cs6", "subnetIds": ["vsw-bp1s5fnvk4gn3tws03624", "vsw-bp1hdfpuhtjg0v8r2hl6x"]}
KMS = "kst-hzz65f176a0ogplgq23ab"
HOURS = {"up": "09:00", "down": "19:00", "until": "2027-06-30"}


def problems(**values):
    with pytest.raises(SettingsError) as caught:
        load("test", as_config(**values), is_secret=lambda _key: True)
    return caught.value.problems


class TestDefaults:
    def test_the_least_stack_is_one_spot_node_in_a_private_network(self):
        settings = alicloud_settings()
        assert (settings.nodes.min, settings.nodes.max, settings.nodes.spot) == (0, 1, True)
        assert settings.network.private
        assert settings.schedule is None
        assert (settings.disk.category, settings.disk.level) == ("cloud_essd", "PL1")
        assert (settings.secrets.kind, settings.registry.kind) == ("parameter", None)
        assert (settings.access.domain, settings.alarms.email) == (None, None)

    def test_the_account_and_the_image_may_be_left_to_be_looked_up_and_the_zones_to_be_named(self):
        settings = alicloud_settings(checks=True, zones=[], systemImage="", accountId="")
        assert (settings.zones, settings.system_image, settings.account_id) == ((), None, None)
        with pytest.raises(ValueError, match="not known before the survey"):
            _ = settings.account

    def test_other_targets_take_no_key_of_alibaba_clouds_not_even_inside_an_object(self):
        config = {
            "indextts2:disk": json.dumps({"gib": 200}),
            "indextts2:schedule": json.dumps({"until": "2027-01-01"}),
        }
        with pytest.raises(SettingsError) as caught:
            load("aws", {"indextts2:target": "aws", **config})
        said = {text.split(": ")[0] for text in caught.value.problems}
        assert {"indextts2:disk", "indextts2:schedule.until"} <= said


class TestEngine:
    @pytest.mark.parametrize(
        ("region", "source"),
        [
            ("cn-hangzhou", "modelscope://IndexTeam/IndexTTS-2.5"),
            ("cn-wuhan-lr", "modelscope://IndexTeam/IndexTTS-2.5"),
            ("cn-hongkong", "hf://IndexTeam/IndexTTS-2.5"),
            ("ap-southeast-1", "hf://IndexTeam/IndexTTS-2.5"),
        ],
    )
    def test_weights_come_from_where_the_region_can_reach(self, region, source):
        zones = [f"{region}{'' if region[-1].isdigit() else '-'}{letter}" for letter in "ab"]
        settings = alicloud_settings(engine={"name": "indextts2"}, region=region, zones=zones)
        assert settings.weights.source == source

    def test_the_disk_holds_image_and_weights(self):
        assert alicloud_settings(disk={"gib": 100}).disk.gib == 100
        (said,) = problems(engine={"name": "indextts2"}, disk={"gib": 100})
        assert "disk.gib is 100, and a node with engine indextts2 needs 130" in said


class TestProblems:
    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("region", "cn-hangzho", "is no region of Alibaba Cloud; did you mean cn-hangzhou?"),
            ("accountId", "12345", "indextts2:accountId: '12345': is no account's id; give its 16 digits"),
            ("accountId", "", "indextts2:accountId: '': is empty, and with checks off nothing is looked up"),
            ("instanceTypes", ["ecs.gn6v-c8g1.2xlarge"], "V100 (Volta) is no longer driven"),
            ("instanceTypes", ["ecs.vgn6i-m4.xlarge"], "it has a fraction of a GPU"),
            ("instanceTypes", ["gn6i-c4g1.xlarge"], "lacks its first part; write ecs.gn6i-c4g1.xlarge"),
            ("instanceTypes", ["ecs.gn6i-c4g1.xlrge"], "did you mean ecs.gn6i-c4g1.xlarge?"),
            ("instanceTypes", ["ecs.g7.large"], "use ecs.gn6i-c4g1.xlarge (T4), ecs.gn7i-c8g1.2xlarge (A10)"),
            ("instanceTypes", ["g4dn.xlarge"], "use ecs.gn6i-c4g1.xlarge (T4)"),
            ("instanceTypes", [], "indextts2:instanceTypes: []: is empty; name the types"),
            ("instanceTypes", ["ecs.gn6i-c4g1.xlarge"] * 2, "names a type twice"),
            ("instanceTypes", list(names()[:11]), "names 11 types; a scaling group takes 10 at the most"),
            ("zones", ["cn-hangzhou-h"], "has one zone, and the load balancer needs two"),
            ("zones", ["cn-hangzhou-h"] * 2, "names a zone twice"),
            ("zones", ["cn-shanghai-b", "cn-hangzhou-h"], "cn-shanghai-b is no zone of cn-hangzhou"),
            ("zones", ["cn-hangzhouh", "cn-hangzhou-i"], "its zones are cn-hangzhou-a, cn-hangzhou-b, ..."),
            ("zones", [], "indextts2:zones: []: is empty; name two zones or more"),
            ("systemImage", "", "indextts2:systemImage: '': is empty, and with checks off nothing is looked up"),
            ("systemImage", "ubuntu", "indextts2:systemImage: 'ubuntu': is no image's id"),
            ("nodes", {"min": 3, "max": 2}, "indextts2:nodes.max: 2: is below nodes.min, 3"),
            ("nodes", {"onDemandBase": 2}, "indextts2:nodes.onDemandBase: 2: is above nodes.max, 1"),
            ("disk", {"category": "cloud_auto"}, "indextts2:disk.category: 'cloud_auto': is not taken by the launch"),
            ("disk", {"category": "cloud_efficiency"}, "is too slow to start a GPU node from; use cloud_essd"),
            ("disk", {"category": "ssd"}, "indextts2:disk.category: 'ssd': is no category of disks; use cloud_essd"),
            ("disk", {"level": "PL2"}, "indextts2:disk.gib: 130: is less than a disk of PL2 has; give 461 or more"),
            ("disk", {"gib": 40}, "indextts2:disk.gib: 40: should be greater than or equal to 100"),
            ("disk", {"level": "PL9"}, "indextts2:disk.level: 'PL9': should be 'PL0', 'PL1', 'PL2' or 'PL3'"),
            (
                "schedule",
                HOURS | {"until": ""},
                "indextts2:schedule.until: '': is missing: Auto Scaling repeats a task",
            ),
            ("schedule", HOURS | {"until": "30.6.2027"}, "is no day; write it like 2027-06-30"),
            ("schedule", HOURS | {"until": "2027-06-31"}, "is no day; write it like 2027-06-30"),
            ("schedule", HOURS | {"until": "20270630"}, "is no day; write it like 2027-06-30"),
            ("schedule", HOURS | {"up": "9:00"}, "indextts2:schedule.up: '9:00': is no time of day"),
            ("image", "speech:latest", "indextts2:image: 'speech:latest': is not pinned"),
            ("image", "", "registry.kind, registry.namespace, registry.repository is empty"),
            ("registry", {"kind": "enterprise"} | {"host": "a.example.com"}, "registry.instanceId: '': is missing"),
            ("registry", ENTERPRISE | {"instanceId": "cr-1"}, "is no Enterprise instance's id; it looks like cri-"),
            ("registry", ENTERPRISE | {"host": ""}, "indextts2:registry.host: '': is missing; give the registry's"),
            ("registry", ENTERPRISE | {"host": "https://a.example.com"}, "is no registry's host; write it without"),
            (
                "registry",
                PERSONAL | {"user": ""},
                "indextts2:registry.user: '': is missing: kind personal needs a user",
            ),
            (
                "registry",
                PERSONAL | {"instanceId": "cri-0123456789ab"},
                "is of no use without registry.kind enterprise",
            ),
            ("registry", {"host": "a.example.com"}, "indextts2:registry.host: 'a.example.com': is of no use without"),
            ("registry", {"nodeHost": "a.example.com"}, "indextts2:registry.nodeHost: 'a.example.com': is of no use"),
            ("registry", {"user": "studio"}, "indextts2:registry.user: 'studio': is of no use without registry.kind"),
            ("registry", {"kind": "docker"}, "indextts2:registry.kind: 'docker': should be 'enterprise' or 'personal'"),
            ("registry", PERSONAL | {"namespace": "Speech"}, "is no namespace's name; use 2 to 120 lower-case letters"),
            ("registry", PERSONAL | {"namespace": "s" * 121}, "is no namespace's name"),
            (
                "registry",
                PERSONAL | {"repository": "r" * 65},
                "is no repository's name; use 2 to 64 lower-case letters",
            ),
            ("registryPassword", "secret", "is of no use without registry.user"),
            ("build", {"baseImage": "python 3"}, "indextts2:build.baseImage: 'python 3': is no image's name"),
            ("build", {"pipIndex": "http://mirror/simple"}, "is no index; write it like https://HOST/simple/"),
            ("build", {"pipIndex": "https://u:p@mirror/simple/"}, "without user and password"),
            (
                "build",
                {"debianMirror": "http://mirror/|e id"},
                "debianMirror: 'http://mirror/|e id': is no mirror",
            ),
            (
                "engine",
                {"name": "indextts2", "precision": "bf16"},
                "ecs.gn6i-c4g1.xlarge has a T4 of compute capability",
            ),
            ("weights", {"name": "mine"}, "weights.name: the engine espeak has no weights"),
            ("access", {"allowedCidrs": []}, "indextts2:access.allowedCidrs: []: is empty, and without access.domain"),
            ("access", {"allowedCidrs": ["0.0.0.0/0"]}, "0.0.0.0/0 is too wide for plain HTTP"),
            ("access", {"domain": "a.example.com"}, "is missing: a.example.com needs a certificate"),
            ("access", {"certificate": CERTIFICATE, "allowedCidrs": RANGES}, "is of no use without access.domain"),
            ("access", {"domain": "a.example.com", "certificate": "12345678"}, "is no certificate's id; it looks like"),
            ("access", {"hostedZone": "example.com", "allowedCidrs": RANGES}, "is of no use without access.domain"),
            (
                "access",
                {"domain": "a.example.com", "certificate": CERTIFICATE, "hostedZone": "example.org"},
                "does not hold access.domain, a.example.com",
            ),
            ("network", {"cidr": "10.20.0.0/24"}, "indextts2:network.cidr: '10.20.0.0/24': is too small"),
            ("network", {"vpcId": "main"}, "indextts2:network.vpcId: 'main': is no VPC's id"),
            ("network", {"vpcId": VPC["vpcId"]}, "indextts2:network.subnetIds: []: has fewer than two vSwitches"),
            ("network", {"subnetIds": VPC["subnetIds"]}, "is of no use without network.vpcId"),
            (
                "network",
                {**VPC, "subnetIds": [*VPC["subnetIds"], "vsw-bp1aaaaaaaaaaaaaaaaaa"]},
                "network.subnetIds has 3 vSwitches, and zones has 2: cn-hangzhou-h, cn-hangzhou-i",
            ),
            ("network", {"flowLogs": True}, "indextts2:network.flowLogs: is not used by target 'alicloud'"),
            ("secrets", {"kind": "kms"}, "indextts2:secrets.kmsInstance: '': is missing: kind kms needs the id"),
            ("secrets", {"kmsInstance": KMS}, "is of no use with secrets.kind parameter"),
            ("secrets", {"kind": "kms", "kmsInstance": "mine"}, "is no KMS instance's id"),
            ("storage", {"resultDays": 0}, "indextts2:storage.resultDays: 0: should be greater than or equal to 1"),
            ("alarms", {"email": "me"}, "indextts2:alarms.email: 'me': is no e-mail address"),
            ("alarms", {"monthlyBudgetUsd": 10}, "indextts2:alarms.monthlyBudgetUsd: is not used by target 'alicloud'"),
            ("tags", {"acs:x": "1"}, "'acs:x' is set by the program or by Alibaba Cloud"),
            ("tags", {"stack": "1"}, "'stack' is set by the program or by Alibaba Cloud"),
            ("tags", {"home": "http://a"}, "the value of 'home' is no tag's value"),
            ("tags", {"a": "b" * 129}, "is no tag's value; use 0 to 128 characters"),
            ("tags", {"": "b"}, "'' is no tag's name; use 1 to 128 characters"),
            ("tags", {f"t{index}": "" for index in range(16)}, "are 16; give at most 15"),
            ("apiKeys", {}, "indextts2:apiKeys: is empty, and nobody could call the service"),
            ("apiKeys", {f"client{i}": f"{i:03}" + "k" * 500 for i in range(9)}, "are more than the 4096 bytes"),
            ("ami", "ami-0123456789abcdef0", "indextts2:ami: is not used by target 'alicloud'"),
            ("port", 9000, "indextts2:port: is not used by target 'alicloud'"),
        ],
    )
    def test_each_names_the_key_the_value_and_the_remedy(self, key, value, said):
        found = problems(**{key: value, **({"registryPassword": "x"} if _wants_password(key, value) else {})})
        assert any(said in text for text in found), found
        assert len(found) == 1, found

    def test_a_registry_without_its_password_says_how_to_set_it(self):
        (problem,) = problems(registry=PERSONAL, image="")
        assert problem.startswith("indextts2:registryPassword: is missing: registry.user, studio@example, needs it")
        assert "pulumi config set --secret indextts2:registryPassword" in problem

    def test_a_ready_image_must_be_of_the_registry_that_nodes_log_in_to(self):
        (problem,) = problems(registry=ENTERPRISE)
        assert "is not of the registry that nodes log in to, studio-registry-vpc.cn-hangzhou" in problem

    def test_all_are_said_at_once(self):
        found = problems(region="mars", apiKeys={}, instanceTypes=["g5.xlarge"], disk={"category": "x"}, prot="1")
        assert sorted(text.split(": ")[0] for text in found) == [
            "indextts2:apiKeys",
            "indextts2:disk.category",
            "indextts2:instanceTypes",
            "indextts2:prot",
            "indextts2:region",
        ]


def _wants_password(key, value):
    """Where a registry has a user, so that its missing password is not the problem."""
    return key == "registry" and bool(value.get("user")) and value.get("kind") == "personal"


class TestSecrets:
    def test_no_key_and_no_password_is_shown(self):
        for values in (
            {"apiKeys": {"a": "hunter2"}},
            {"apiKeys": {"a": [[KEY]]}},
            {"registryPassword": "hunter2"},
            {"registryPassword": "hunter2" * 200, "registry": PERSONAL, "image": ""},
        ):
            assert not any("hunter2" in text or KEY in text for text in problems(**values))

    def test_a_password_in_plain_text_is_refused_with_the_command_that_encrypts_it(self):
        values = as_config(registry=PERSONAL, image="", registryPassword="hunter2")
        with pytest.raises(SettingsError) as caught:
            load("test", values, is_secret=lambda key: key == "indextts2:apiKeys")
        (problem,) = caught.value.problems
        assert problem.endswith("pulumi config set --secret indextts2:registryPassword")
        assert "hunter2" not in str(caught.value)

    def test_settings_do_not_print_a_password(self):
        settings = alicloud_settings(registry=PERSONAL, image="", registryPassword="hunter2")
        assert "hunter2" not in repr(settings)

    def test_a_kms_secret_holds_more_clients_than_a_parameter(self):
        clients = {f"client{i}": f"{i:03}" + "k" * 500 for i in range(9)}
        settings = alicloud_settings(apiKeys=clients, secrets={"kind": "kms", "kmsInstance": KMS})
        assert len(settings.api_keys) == 9


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
DEFAULTS = {
    key: schema["default"] for key, schema in yaml.safe_load(PROJECT_FILE.read_text())["config"].items()
}  # fmt: skip


class TestAnything:
    @examples(deadline=None)
    @given(key=st.sampled_from(sorted(DEFAULTS.keys() - {"target"})), value=ANYTHING)
    def test_a_value_of_any_kind_is_taken_or_refused_with_its_key(self, key, value):
        self.is_taken_or_refused(key, value)

    @examples(deadline=None)
    @given(data=st.data(), value=ANYTHING)
    def test_so_is_one_inside_an_object(self, data, value):
        key = data.draw(st.sampled_from(sorted(key for key, default in DEFAULTS.items() if isinstance(default, dict))))
        part = data.draw(st.sampled_from(sorted(DEFAULTS[key])) if DEFAULTS[key] else st.text(max_size=5))
        self.is_taken_or_refused(key, {part: value})

    def is_taken_or_refused(self, key, value):
        try:
            alicloud_settings(**{key: value})
        except SettingsError as error:
            assert all(text.startswith("indextts2:") for text in error.problems)


class TestRegions:
    @pytest.mark.parametrize(
        ("region", "zones"),
        [
            ("cn-beijing", ["cn-beijing-l", "cn-beijing-k"]),
            ("cn-hongkong", ["cn-hongkong-b", "cn-hongkong-c"]),
            ("ap-southeast-1", ["ap-southeast-1a", "ap-southeast-1b"]),
            ("us-west-1", ["us-west-1a", "us-west-1b"]),
        ],
    )
    def test_zones_are_written_as_the_region_writes_them(self, region, zones):
        assert alicloud_settings(region=region, zones=zones).zones == tuple(zones)


class TestAccess:
    @pytest.mark.parametrize(
        ("domain", "zone", "record"),
        [
            ("speech.example.com", "example.com", "speech"),
            ("a.b.example.com", "example.com", "a.b"),
            ("example.com", "example.com", "@"),
            ("speech.example.com", "", None),
        ],
    )
    def test_a_record_is_named_within_its_domain(self, domain, zone, record):
        access = {"domain": domain, "certificate": CERTIFICATE, "hostedZone": zone, "allowedCidrs": []}
        assert alicloud_settings(access=access).access.record_name == record


class TestSchedule:
    def test_its_last_day_is_a_date(self):
        settings = alicloud_settings(schedule=HOURS)
        assert settings.schedule is not None
        assert settings.schedule.last_day == datetime.date(2027, 6, 30)
        assert settings.schedule.up_cron == "0 9 * * 1,2,3,4,5"


class TestInstanceTypes:
    def test_every_type_of_the_table_can_be_a_node(self):
        assert len(names()) == sum(len(kind.sizes) for kind in FAMILIES.values())
        for name in names():
            assert problem(name) is None
            assert vcpus(name) > 0
            assert FAMILIES[name.removeprefix("ecs.").partition(".")[0].partition("-c")[0]].memory >= 16

    @pytest.mark.parametrize(
        ("name", "count"),
        [
            ("ecs.gn6i-c4g1.xlarge", 4),
            ("ecs.gn6i-c24g1.24xlarge", 96),
            ("ecs.gn7i-c8g1.2xlarge", 8),
            ("ecs.gn7-c12g1.3xlarge", 12),
            ("ecs.gn8is.2xlarge", 8),
            ("ecs.gn8is-2x.8xlarge", 32),
        ],
    )
    def test_names_are_the_vendors(self, name, count):
        assert vcpus(name) == count

    @pytest.mark.parametrize("name", ["", ".", "ecs", "ecs.gn6i", "ecs.gn6i-c4g1", "ECS.GN6I-C4G1.XLARGE", "ecs.gn6i "])
    def test_what_is_not_quite_one_is_none(self, name):
        assert problem(name)


class TestStackFiles:
    def test_prod_cn_is_a_stack_once_its_keys_are_set(self):
        file = Path(PROJECT_FILE).with_name("Pulumi.prod-cn.yaml")
        config = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in yaml.safe_load(file.read_text())["config"].items()
        }
        own = {
            "indextts2:apiKeys": json.dumps({"studio": KEY}),
            "indextts2:access": json.dumps({"domain": "speech.example.com", "certificate": CERTIFICATE}),
            "indextts2:image": f"registry.example.com/speech/server@{DIGEST}",
        }
        settings = load("prod-cn", config | own, is_secret=lambda _key: True)
        assert isinstance(settings, AlicloudSettings)
        assert settings.protect
        with pytest.raises(SettingsError) as caught:
            load("prod-cn", config)
        assert [text.split(": ")[0] for text in caught.value.problems] == [
            "indextts2:apiKeys",
            "indextts2:image",
            "indextts2:access.allowedCidrs",
        ]
