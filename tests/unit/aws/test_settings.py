"""The settings of an AWS stack: what is accepted, and what a person is told of what is not."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from components.settings import PROJECT_FILE, AwsSettings, SettingsError, alicloud_instance_types, load
from components.settings.aws_instance_types import FAMILIES, problem, quota_group, vcpus
from components.settings.engine import PRECISIONS
from components.settings.gpus import COMPUTE_CAPABILITIES, precision_used
from tests.unit.aws.one_part import KEY, as_config, aws_settings
from tests.unit.engines import INDEXTTS2

CERTIFICATE = "arn:aws:acm:us-west-2:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
RANGES = ["203.0.113.0/24"]
VPC = "vpc-0123456789abcdef0"


def problems(**values):
    with pytest.raises(SettingsError) as caught:
        load("test", as_config(**values), is_secret=lambda _key: True)
    return caught.value.problems


class TestDefaults:
    def test_the_least_stack_is_one_spot_node_in_a_private_network(self):
        settings = aws_settings()
        assert settings.instance_types == ("g4dn.xlarge",)
        assert (settings.nodes.min, settings.nodes.max, settings.nodes.spot) == (0, 1, True)
        assert settings.network.private
        assert settings.schedule is None
        assert (settings.image, settings.access.domain, settings.alarms.email) == (None, None, None)
        assert not settings.storage.force_destroy

    def test_zones_and_image_may_be_left_to_be_looked_up(self):
        settings = aws_settings(checks=True, zones=[], ami="")
        assert (settings.zones, settings.ami) == ((), None)

    def test_a_local_stack_takes_no_key_of_aws_not_even_inside_an_object(self):
        config = {"indextts2:region": "eu-west-1", "indextts2:storage": json.dumps({"logDays": 3})}
        with pytest.raises(SettingsError) as caught:
            load("local", config)
        assert [text.split(": ")[0] for text in caught.value.problems] == [
            "indextts2:region",
            "indextts2:storage.logDays",
        ]


class TestEngine:
    def test_espeak_is_the_default_and_has_no_weights(self):
        settings = aws_settings()
        assert (settings.engine.name, settings.engine.version, settings.engine.precision) == ("espeak", None, None)
        assert settings.weights.name is None

    def test_indextts2_is_the_newest_in_what_the_card_can_do_with_weights_from_hugging_face(self):
        settings = aws_settings(engine={"name": "indextts2"})
        engine = settings.engine
        assert (engine.version, engine.precision, engine.low_memory) == ("2.5", None, None)
        assert (settings.weights.name, settings.weights.source) == ("indextts-2.5", "hf://IndexTeam/IndexTTS-2.5")

    @pytest.mark.parametrize(("given", "found"), [(2, "2"), (2.5, "2.5"), ("2", "2"), ("", "2.5")])
    def test_a_version_may_be_the_number_that_yaml_reads(self, given, found):
        image = f"registry.example.com/speech@sha256:{'a' * 64}"
        settings = aws_settings(engine={"name": "indextts2", "version": given}, image=image)
        assert settings.engine.version == found
        assert settings.weights.name == f"indextts-{found}"

    def test_what_the_stack_names_is_kept(self):
        weights = {"name": "mine", "source": "modelscope://studio/voices@v3", "endpoint": "https://hub.example.com"}
        settings = aws_settings(engine={"name": "indextts2", "precision": "fp32", "lowMemory": False}, weights=weights)
        assert settings.weights.model_dump() == {**weights, "image": None}
        assert (settings.engine.precision, settings.engine.low_memory) == ("fp32", False)

    def test_the_image_that_brings_the_weights_goes_with_a_ready_one_of_the_same_registry(self):
        engine = {"name": "indextts2"}
        ready, small = (f"registry.example.com/{name}@sha256:{'a' * 64}" for name in ("speech", "weights"))
        assert aws_settings(engine=engine, image=ready, weights={"image": small}).weights.image == small
        with pytest.raises(SettingsError, match="indextts2:image: '': is empty, and what is built then includes"):
            aws_settings(engine=engine, weights={"image": small})
        foreign = small.replace("example.com", "example.net")
        with pytest.raises(SettingsError, match=r"weights.image of registry.example.net: nodes log in to one registry"):
            aws_settings(engine=engine, image=ready, weights={"image": foreign})
        with pytest.raises(SettingsError, match=r"indextts2:weights.image: 'weights:newest': is not pinned"):
            aws_settings(engine=engine, image=ready, weights={"image": "weights:newest"})
        with pytest.raises(SettingsError, match=r"weights.image: the engine espeak has no weights"):
            aws_settings(image=ready, weights={"image": small})

    def test_a_card_that_has_bf16_may_run_in_it(self):
        engine = {"name": "indextts2", "precision": "bf16"}
        assert aws_settings(engine=engine, instanceTypes=["g5.xlarge", "g6.xlarge"]).engine.precision == "bf16"

    def test_every_gpu_of_the_clouds_is_known(self):
        families = (*FAMILIES.values(), *alicloud_instance_types.FAMILIES.values())
        assert {family.gpu for family in families} == COMPUTE_CAPABILITIES.keys()
        # What the engine chooses by itself counts on it.
        assert all(family.memory >= 16 for family in families)

    @pytest.mark.parametrize("version", ["2", "2.5"])
    @pytest.mark.parametrize("gpu", ["T4", "A10G", "H100"])
    @pytest.mark.parametrize("low_memory", [None, True, False])
    def test_the_price_counts_on_what_the_engine_chooses_by_itself(self, version, gpu, low_memory):
        server = pytest.importorskip("speech_server.engines.indextts2.precision", reason="no server here")
        packages = pytest.importorskip("speech_server.engines.indextts2.packages")
        package = packages.package_for(version, None)
        chosen = server.choose_precision("auto", package, COMPUTE_CAPABILITIES[gpu], bool(low_memory))
        engine = INDEXTTS2.model_copy(update={"version": version, "low_memory": low_memory})
        assert precision_used(engine, gpu) == chosen

    def test_the_versions_have_the_precisions_that_the_engine_says(self):
        packages = pytest.importorskip("speech_server.engines.indextts2.packages", reason="no server here")
        for package in packages.PACKAGES:
            assert tuple(package.flags) == PRECISIONS[package.version]


class TestProblems:
    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("region", "us-wset-2", "indextts2:region: 'us-wset-2': is no region; did you mean us-west-2?"),
            ("region", "cn-north-1", "indextts2:region: 'cn-north-1': is no region"),
            ("accountId", "12345", "indextts2:accountId: '12345': is no account's id; give its 12 digits"),
            ("engine", {"name": "indextts"}, "indextts2:engine.name: 'indextts': should be 'espeak' or 'indextts2'"),
            ("engine", {"name": "indextts2", "version": "3"}, "indextts2:engine.version: '3': should be '2' or '2.5'"),
            (
                "engine",
                {"name": "indextts2", "precision": "fp16"},
                "indextts2:engine.precision: 'fp16': is no precision",
            ),
            (
                "engine",
                {"name": "indextts2", "precision": "bf16"},
                "g4dn.xlarge has a T4 of compute capability 7.5",
            ),
            (
                "engine",
                {"name": "indextts2", "version": "2"},
                "indextts2:image: '': is empty, and the image that",
            ),
            (
                "engine",
                {"precision": "fp32"},
                "indextts2:engine.precision: 'fp32': is of no use with engine",
            ),
            ("engine", {"version": "2.5"}, "indextts2:engine.version: '2.5': is of no use with engine.name espeak"),
            ("engine", {"lowMemory": True}, "indextts2:engine.lowMemory: True: is of no use with engine.name espeak"),
            ("weights", {"source": "none"}, "weights.source: the engine espeak has no weights; set engine.name"),
            (
                "weights",
                {"name": "../keys"},
                "indextts2:weights.name: '../keys': is no name of a folder",
            ),
            ("weights", {"source": "https://example.com/weights"}, "is no source of weights; write hf://IndexTeam/"),
            ("weights", {"source": "hf://a/b@../c"}, "is no source of weights"),
            ("weights", {"endpoint": "https://u:p@mirror"}, "indextts2:weights.endpoint: 'https://u:p@mirror': is no"),
            ("weights", {"endpoint": "http://mirror.example.com"}, "is no address of a mirror; write https://HOST"),
            (
                "weights",
                {"source": "none", "endpoint": "https://m.example"},
                "is of no use with weights.source none",
            ),
            ("weights", {"folder": "/srv/weights"}, "indextts2:weights.folder"),
            ("instanceTypes", ["p3.2xlarge"], "V100 (Volta) is no longer driven"),
            ("instanceTypes", ["g4dn.xlrge"], "g4dn has no size 'xlrge'; its sizes are xlarge"),
            ("instanceTypes", ["g4nd.xlarge"], "did you mean g4dn.xlarge?"),
            ("instanceTypes", ["g5g.xlarge"], "its processor is arm64"),
            ("instanceTypes", ["m7i.large"], "use g4dn.xlarge (T4), g5.xlarge (A10G) or g6.xlarge (L4)"),
            ("instanceTypes", [], "indextts2:instanceTypes: []: is empty; name the types"),
            ("instanceTypes", ["g5.xlarge", "g5.xlarge"], "names a type twice"),
            ("zones", ["us-west-2a"], "has one zone, and the load balancer needs two"),
            ("zones", ["us-west-2a", "us-west-2a"], "names a zone twice"),
            ("zones", ["us-east-1a", "us-west-2b"], "us-east-1a is no zone of us-west-2"),
            ("zones", ["us-west-2a", "us-west-2z"], "us-west-2z is no zone of us-west-2"),
            ("zones", [], "indextts2:zones: []: is empty, and with checks off nothing is looked up"),
            ("ami", "", "indextts2:ami: '': is empty, and with checks off nothing is looked up"),
            ("ami", "ubuntu", "indextts2:ami: 'ubuntu': is no image's id"),
            ("nodes", {"min": 3, "max": 2}, "indextts2:nodes.max: 2: is below nodes.min, 3"),
            ("nodes", {"max": 0}, "indextts2:nodes.max: 0: should be greater than or equal to 1"),
            ("nodes", {"onDemandBase": 2}, "indextts2:nodes.onDemandBase: 2: is above nodes.max, 1"),
            ("nodes", {"spot": "yes"}, "indextts2:nodes.spot: 'yes': should be a valid boolean"),
            ("nodes", {"minn": 1}, "indextts2:nodes.minn: there is no such key"),
            ("schedule", {"up": "9:00", "down": "19:00"}, "indextts2:schedule.up: '9:00': is no time of day"),
            ("schedule", {"up": "09:00"}, "indextts2:schedule.down: '': is no time of day"),
            ("schedule", {"up": "09:00", "down": "09:00"}, "is the same as up"),
            ("schedule", {"up": "09:00", "down": "24:00"}, "is no time of day"),
            (
                "schedule",
                {"up": "09:00", "down": "19:00", "timeZone": "Asia/Shangai"},
                "indextts2:schedule.timeZone: 'Asia/Shangai': is no time zone; did you mean Asia/Shanghai?",
            ),
            ("schedule", {"up": "09:00", "down": "19:00", "days": "Mon-Fri"}, "is no list of days"),
            ("schedule", {"up": "09:00", "down": "19:00", "days": "MON,MON"}, "names a day twice"),
            ("image", "speech:latest", "indextts2:image: 'speech:latest': is not pinned"),
            ("access", {"allowedCidrs": []}, "indextts2:access.allowedCidrs: []: is empty, and without access.domain"),
            ("access", {"allowedCidrs": ["0.0.0.0/0"]}, "0.0.0.0/0 is too wide for plain HTTP"),
            ("access", {"allowedCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}, "0.0.0.0/1 is too wide for plain HTTP"),
            ("access", {"allowedCidrs": ["10.0.0.1/8"]}, "has host bits set; use 10.0.0.0/8"),
            ("access", {"allowedCidrs": ["office"]}, "'office' is no IPv4 address range"),
            ("access", {"allowedCidrs": ["2001:db8::/32"]}, "is no IPv4 address range"),
            ("access", {"allowedCidrs": ["10.0.0.0/8", "10.1.0.0/16"]}, "10.0.0.0/8 and 10.1.0.0/16 overlap"),
            ("access", {"domain": "Speech"}, "indextts2:access.domain: 'Speech': is no domain name"),
            ("access", {"domain": "a.example.com"}, "is missing: a.example.com needs access.certificate"),
            ("access", {"certificate": CERTIFICATE, "allowedCidrs": RANGES}, "is of no use without access.domain"),
            ("access", {"hostedZone": "example.com", "allowedCidrs": RANGES}, "is of no use without access.domain"),
            (
                "access",
                {"domain": "a.example.com", "hostedZone": "example.org"},
                "indextts2:access.hostedZone: 'example.org': does not hold access.domain, a.example.com",
            ),
            ("access", {"domain": "a.badexample.com", "hostedZone": "example.com"}, "does not hold access.domain"),
            (
                "access",
                {"domain": "a.example.com", "certificate": CERTIFICATE.replace("us-west-2", "eu-west-1")},
                "access.certificate is of eu-west-1, and the load balancer in us-west-2",
            ),
            ("access", {"domain": "a.example.com", "certificate": "mine"}, "is no certificate's ARN"),
            (
                "access",
                {"domain": "a.example.com", "hostedZone": "example.com"},
                "must be the zone's id with checks off",
            ),
            ("network", {"cidr": "10.20.0.0/24"}, "indextts2:network.cidr: '10.20.0.0/24': is too small"),
            ("network", {"cidr": "10.0.0.0/8"}, "is larger than a VPC can be"),
            ("network", {"cidr": "8.8.0.0/16"}, "is not a private range"),
            ("network", {"cidr": "172.17.0.0/16"}, "overlaps 172.17.0.0/16, the bridge of Docker"),
            ("network", {"cidr": "10.20.0.1/16"}, "has host bits set; use 10.20.0.0/16"),
            ("network", {"cidr": "10.20.0"}, "is no IPv4 address range"),
            ("network", {"vpcId": "main"}, "indextts2:network.vpcId: 'main': is no VPC's id"),
            ("network", {"vpcId": VPC}, "indextts2:network.subnetIds: []: has fewer than two subnets"),
            ("network", {"vpcId": VPC, "subnetIds": ["subnet-0000000a"] * 2}, "has fewer than two subnets"),
            ("network", {"subnetIds": ["subnet-0000000a"]}, "is of no use without network.vpcId"),
            ("network", {"subnetIds": ["a"]}, "indextts2:network.subnetIds.0: 'a': is no subnet's id"),
            (
                "network",
                {"vpcId": VPC, "subnetIds": ["subnet-0000000a", "subnet-0000000b"], "flowLogs": True},
                "indextts2:network.flowLogs: True: is for a VPC of the stack's own",
            ),
            ("access", {"allowedCidrs": "203.0.113.0/24"}, "'203.0.113.0/24': should be a list"),
            ("storage", {"resultDays": 0}, "indextts2:storage.resultDays: 0: should be greater than or equal to 1"),
            ("alarms", {"email": "me"}, "indextts2:alarms.email: 'me': is no e-mail address"),
            ("alarms", {"monthlyBudgetUsd": 10}, "indextts2:alarms.monthlyBudgetUsd: 10: has nobody to tell"),
            ("alarms", {"idleMinutes": 1}, "indextts2:alarms.idleMinutes: 1: should be greater than or equal to 5"),
            ("tags", {"aws:x": "1"}, "'aws:x' is set by the program or by AWS"),
            ("tags", {"stack": "1"}, "'stack' is set by the program or by AWS"),
            ("tags", {"cost<centre": "1"}, "is no tag's name"),
            ("tags", {"a": "b" * 257}, "is no tag's value"),
            ("tags", {"a": 1}, "indextts2:tags.a: 1: should be a valid string"),
            ("tags", {f"t{index}": "" for index in range(41)}, "are 41; give at most 40"),
            ("apiKeys", {}, "indextts2:apiKeys: is empty, and nobody could call the service"),
            ("apiKeys", {"studio": "short"}, "indextts2:apiKeys.studio: the key has 5 characters; give at least 32"),
            ("apiKeys", {f"client{i}": f"{i:03}" + "k" * 500 for i in range(140)}, "are more than the 65536 bytes"),
            ("protect", "maybe", "indextts2:protect: 'maybe' is not of type boolean"),
            ("port", 9000, "indextts2:port: is not used by target 'aws'"),
        ],
    )
    def test_each_names_the_key_the_value_and_the_remedy(self, key, value, said):
        found = problems(**{key: value})
        assert any(said in text for text in found), found
        assert len(found) == 1, found

    def test_all_are_said_at_once(self):
        found = problems(
            region="mars",
            apiKeys={},
            instanceTypes=["p3.2xlarge"],
            nodes={"min": 2, "max": 1},
            network={"cidr": "1.2.3.4"},
            prot="1",
        )
        assert sorted(text.split(": ")[0] for text in found) == [
            "indextts2:apiKeys",
            "indextts2:instanceTypes",
            "indextts2:network.cidr",
            "indextts2:nodes.max",
            "indextts2:prot",
            "indextts2:region",
        ]

    def test_no_key_is_shown(self):
        for values in ({"apiKeys": {"a": "hunter2"}}, {"apiKeys": {"a": f"{KEY} x"}}, {"apiKeys": {"a": [[KEY]]}}):
            assert not any("hunter2" in text or KEY in text for text in problems(**values))


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
            aws_settings(**{key: value})
        except SettingsError as error:
            assert all(text.startswith("indextts2:") for text in error.problems)


class TestAccess:
    @pytest.mark.parametrize(
        "access",
        [
            {"domain": "speech.example.com", "certificate": CERTIFICATE},
            {"domain": "example.com", "hostedZone": "Z0123456789ABC"},
            {"domain": "speech.example.com", "hostedZone": "Z0123456789ABC", "allowedCidrs": ["0.0.0.0/0"]},
        ],
    )
    def test_a_domain_needs_a_certificate_or_a_zone_and_no_ranges(self, access):
        assert aws_settings(access={"allowedCidrs": [], **access}).access.domain == access["domain"]

    def test_a_zones_name_is_left_to_be_looked_up(self):
        access = {"domain": "speech.example.com", "hostedZone": "example.com"}
        assert not aws_settings(checks=True, access=access).access.hosted_zone_is_id


class TestSchedule:
    @pytest.mark.parametrize(
        ("up", "down", "days", "up_cron", "down_cron"),
        [
            ("09:00", "19:00", "MON-FRI", "0 9 * * 1,2,3,4,5", "0 19 * * 1,2,3,4,5"),
            ("09:30", "19:05", "MON,WED", "30 9 * * 1,3", "5 19 * * 1,3"),
            ("22:00", "06:00", "FRI-SAT", "0 22 * * 5,6", "0 6 * * 0,6"),
            ("22:00", "06:00", "MON-FRI", "0 22 * * 1,2,3,4,5", "0 6 * * 2,3,4,5,6"),
            ("00:00", "23:59", "MON-SUN", "0 0 * * *", "59 23 * * *"),
            ("09:00", "19:00", "SUN", "0 9 * * 0", "0 19 * * 0"),
        ],
    )
    def test_a_night_ends_on_the_day_after(self, up, down, days, up_cron, down_cron):
        schedule = aws_settings(schedule={"timeZone": "Asia/Shanghai", "up": up, "down": down, "days": days}).schedule
        assert (schedule.up_cron, schedule.down_cron) == (up_cron, down_cron)


class TestInstanceTypes:
    def test_every_type_of_the_table_can_be_a_node(self):
        for family, kind in FAMILIES.items():
            for size, count in kind.sizes.items():
                assert problem(f"{family}.{size}") is None
                assert vcpus(f"{family}.{size}") == count
                assert quota_group(f"{family}.{size}") == kind.quota

    @pytest.mark.parametrize("name", ["", ".", "g4dn", "g4dn.", ".xlarge", "G4DN.XLARGE", "g4dn.xlarge "])
    def test_what_is_not_quite_one_is_none(self, name):
        assert problem(name)


class TestStackFiles:
    @pytest.mark.parametrize("stack", ["dev", "prod"])
    def test_each_is_a_stack_once_its_keys_are_set(self, stack):
        file = Path(PROJECT_FILE).with_name(f"Pulumi.{stack}.yaml")
        config = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in yaml.safe_load(file.read_text())["config"].items()
        }
        own = {
            "indextts2:apiKeys": json.dumps({"studio": KEY}),
            "indextts2:access": json.dumps(
                {"domain": "speech.example.com", "hostedZone": "example.com"}
                if stack == "prod"
                else {"allowedCidrs": RANGES}
            ),
        }
        settings = load(stack, config | own, is_secret=lambda _key: True)
        assert isinstance(settings, AwsSettings)
        assert settings.protect is (stack == "prod")
        with pytest.raises(SettingsError) as caught:
            load(stack, config)
        assert [text.split(": ")[0] for text in caught.value.problems] == [
            "indextts2:apiKeys",
            "indextts2:access.allowedCidrs",
        ]
