"""The whole program on Alibaba Cloud, without an engine, over a grid of settings.

The recorder holds every resource against the SDK's own metadata and the provider's own checks, and refuses what it
does not know (tests/recorder.py).
"""

import datetime
import json

import pytest

from components.settings import SettingsError
from tests.engine.standin.alicloud import ALICLOUD, UNIQUE
from tests.recorder import Recorder, Registration, run_program
from tests.sdk_schema import resource_schema
from tests.unit.alicloud.one_part import DIGEST, ENTERPRISE, KEY, PERSONAL, as_config

OUTPUTS = {
    "url", "healthUrl", "bucket", "queue", "apiKeysSecret", "image", "fleet", "region", "dashboardUrl", "price",
}  # fmt: skip
VSWITCHES = ["vsw-bp1s5fnvk4gn2tws03624h", "vsw-bp1s5fnvk4gn2tws03624i"]
TOKEN = "token-of-the-registry"
PASSWORD = "password-of-the-registry-of-the-studio"
# What the program asks when it looks nothing up: the registry's token for the push, an existing network's vSwitches.
CALLS = {
    "alicloud:cs/getRegistryEnterpriseInstances:getRegistryEnterpriseInstances": {
        "id": "found",
        "names": ["studio"],
        "instances": [
            {
                "id": ENTERPRISE["instanceId"],
                "name": "studio",
                "tempUsername": "cr_temp_user",
                "authorizationToken": TOKEN,
                "publicEndpoints": [ENTERPRISE["host"]],
                "vpcEndpoints": [ENTERPRISE["nodeHost"]],
            }
        ],
    },
    "alicloud:vpc/getSwitches:getSwitches": {
        "id": "found",
        "names": VSWITCHES,
        "vswitches": [
            {"id": identity, "cidrBlock": f"172.16.{number}.0/24", "zoneId": f"cn-hangzhou-{identity[-1]}"}
            for number, identity in enumerate(VSWITCHES)
        ],
    },
}
CERTIFIED = {"domain": "speech.example.cn", "certificate": "12345678-cn-hangzhou"}
NEXT_YEAR = (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=300)).isoformat()
GRID = {
    "least": {},
    "public nodes": {"network": {"private": False}},
    "existing network": {"network": {"vpcId": "vpc-bp1m7v25emi1h5mtc0000", "subnetIds": VSWITCHES}},
    "certificate": {"access": CERTIFIED},
    "certificate and record": {"access": {**CERTIFIED, "hostedZone": "example.cn"}},
    "certificate for some": {"access": {**CERTIFIED, "allowedCidrs": ["203.0.113.0/24"]}},
    "several callers": {"access": {"allowedCidrs": ["203.0.113.0/24", "198.51.100.7/32"]}},
    "built for an Enterprise registry": {"image": "", "registry": ENTERPRISE},
    "built for another registry": {"image": "", "registry": PERSONAL, "registryPassword": PASSWORD},
    "built with mirrors": {
        "image": "",
        "registry": ENTERPRISE,
        "build": {"baseImage": "mirror.example.cn/library/python:3.11-slim", "pipIndex": "https://mirror.example.cn/"},
    },
    "ready image behind a log-in": {
        "image": f"{ENTERPRISE['nodeHost']}/speech/server@{DIGEST}",
        "registry": {key: ENTERPRISE[key] for key in ("kind", "instanceId", "host", "nodeHost")},
    },
    "on demand alone": {"nodes": {"min": 2, "max": 5, "onDemandBase": 2, "spot": False}},
    "from zero": {"nodes": {"min": 0, "max": 3, "onDemandBase": 0, "spot": True}},
    "office hours": {
        "schedule": {"timeZone": "Asia/Shanghai", "up": "09:00", "down": "19:00", "days": "MON-FRI", "until": NEXT_YEAR}
    },
    "three types": {"instanceTypes": ["ecs.gn7i-c8g1.2xlarge", "ecs.gn6i-c4g1.xlarge", "ecs.gn6i-c8g1.2xlarge"]},
    "three zones": {"zones": ["cn-hangzhou-h", "cn-hangzhou-i", "cn-hangzhou-j"]},
    "told": {"alarms": {"email": "operations@example.com", "idleMinutes": 15}},
    "protected": {"protect": True, "storage": {"forceDestroy": False}},
    "disposable": {"protect": False, "storage": {"forceDestroy": True}},
    "KMS": {"secrets": {"kind": "kms", "kmsInstance": "kst-hzz0123456789abcdefg"}},
    "tagged": {"tags": {"costCenter": "dubbing"}},
    "the model": {"engine": {"name": "indextts2"}},
    "the older model, its weights by hand": {
        "engine": {"name": "indextts2", "version": "2"},
        "weights": {"name": "ours", "source": "none"},
    },
    "several clients": {"apiKeys": {"studio": KEY, "school": "s" * 40}},
    "another region": {
        "region": "ap-southeast-1",
        "zones": ["ap-southeast-1a", "ap-southeast-1b"],
    },
}
# Everything on at once, as in production.
GRID["production"] = {
    "nodes": {"min": 1, "max": 4, "onDemandBase": 1, "spot": True},
    **{
        key: value
        for name in (
            "certificate and record",
            "built for an Enterprise registry",
            "office hours",
            "three types",
            "three zones",
            "told",
            "protected",
            "tagged",
            "the model",
        )
        for key, value in GRID[name].items()
    },
}
PARTS = {
    "Network", "ObjectStore", "JobQueue", "ApiKeys", "ServerImage", "GpuFleet", "LoadBalancer", "Monitoring",
}  # fmt: skip


def run(*, preview: bool = False, stack_name: str = "test", **values: object) -> tuple[Recorder, dict]:
    secret_keys = ("indextts2:apiKeys", "indextts2:registryPassword")
    return run_program(
        {}, as_config(**values), stack_name=stack_name, secret_keys=secret_keys, preview=preview, calls=CALLS
    )


def own(recorder: Recorder) -> list[Registration]:
    """The cloud's resources, without its provider."""
    return [one for one in recorder.registered.values() if one.type.startswith("alicloud:")]


# What two stacks may share: a name in DNS is what the deployer chose.
SHARED = {
    "alicloud:dns/alidnsRecord:AlidnsRecord",
    "alicloud:cs/registryEnterpriseRepo:RegistryEnterpriseRepo",
}


def unique_names(recorder: Recorder) -> set[tuple[str, ...]]:
    """The names that the account takes once; names within another resource are that one's matter."""
    found = set()
    for one in own(recorder):
        properties = UNIQUE.get(one.type, ())
        if len(properties) == 1 and isinstance(one.values.get(properties[0]), str):
            found.add((one.type, one.values[properties[0]]))
    return found


@pytest.fixture(scope="module", params=GRID.values(), ids=GRID.keys())
def ran(request: pytest.FixtureRequest) -> tuple[Recorder, dict]:
    """Every stack of the grid, run once."""
    return run(**request.param)


class TestGrid:
    def test_every_resource_hangs_on_a_part_and_uses_the_one_provider(self, ran):
        recorder, _ = ran
        provider = recorder.of_type("pulumi:providers:alicloud")
        assert {one.type for one in recorder.registered.values() if not one.custom} == {
            "indextts2:service:SpeechService",
            *(f"indextts2:alicloud:{part}" for part in PARTS),
        }
        assert len(own(recorder)) > 30
        for one in own(recorder):
            assert "$indextts2:alicloud:" in one.parent, one.urn
            assert one.provider.startswith(f"{provider.urn}::"), one.urn

    def test_the_outputs_are_those_that_every_target_has_and_no_secret_among_them(self, ran):
        _, outputs = ran
        assert set(outputs) == OUTPUTS
        assert not [name for name, output in outputs.items() if output["secret"]]

    def test_the_keys_go_to_the_secret_alone_and_as_a_secret(self, ran):
        recorder, outputs = ran
        holders = [one for one in recorder.registered.values() if KEY in json.dumps(one.values, default=str)]
        assert [one.type for one in holders] in (
            ["alicloud:oos/secretParameter:SecretParameter"],
            ["alicloud:kms/secret:Secret"],
        )
        assert {"value", "secretData"} & holders[0].secret_inputs
        assert KEY not in json.dumps(outputs)

    def test_no_secret_stands_open_anywhere(self, ran):
        recorder, _ = ran
        for one in recorder.registered.values():
            open_to_all = json.dumps(one.shown, default=str)
            for secret in (KEY, TOKEN, PASSWORD):
                assert secret not in open_to_all, one.urn

    def test_all_but_the_dns_record_are_made_anew_in_another_region(self, ran):
        """The provider replaces nothing by itself when its region changes, and no resource has a region of its own."""
        recorder, outputs = ran
        for one in own(recorder):
            expected = None if one.type.startswith("alicloud:dns/") else outputs["region"]["value"]
            assert one.replacement_trigger == expected, one.urn
        assert recorder.of_type("pulumi:providers:alicloud").name.endswith(outputs["region"]["value"])

    def test_what_the_provider_reads_back_is_said_or_ignored(self, ran):
        """Else the next update would take it away, or replace the resource, though nothing was changed."""
        recorder, _ = ran
        for one in own(recorder):
            left_out = ALICLOUD.read_back.get(one.type, {}).keys() - one.values.keys()
            assert left_out <= set(one.ignore_changes), one.urn

    def test_everything_that_takes_tags_has_them(self, ran):
        recorder, _ = ran
        for one in own(recorder):
            if "tags" in resource_schema(one.type).inputs:
                tags = one.values.get("tags", {})
                assert (tags.get("project"), tags.get("stack")) == ("indextts2", "test"), one.urn

    def test_a_name_that_must_be_unique_is_no_other_stacks(self, ran, request: pytest.FixtureRequest):
        """Two stacks in one account, from one stack file: none of their unique names are the same."""
        recorder, _ = ran
        other, _ = run(**GRID[request.node.callspec.id], stack_name="other")
        shared = {key for key in unique_names(recorder) & unique_names(other) if key[0] not in SHARED}
        assert not shared


class TestPreview:
    @pytest.mark.parametrize("name", ["least", "production"])
    def test_it_registers_what_an_update_would(self, name: str):
        assert run(**GRID[name], preview=True)[0].registered.keys() == run(**GRID[name])[0].registered.keys()


class TestProtection:
    def test_production_protects_what_holds_data_and_what_answers(self):
        recorder, _ = run(**GRID["production"])
        protected = {one.type.rpartition(":")[2] for one in recorder.registered.values() if one.protect}
        assert {"Bucket", "ServiceQueue", "SecretParameter", "LoadBalancer"} <= protected
        balancer = recorder.of_type("alb/loadBalancer:LoadBalancer")
        assert balancer.values["deletionProtectionConfig"] == {"enabled": True}
        assert recorder.of_type("ess/scalingGroup:ScalingGroup").values["groupDeletionProtection"] is True
        assert not any(one.values.get("forceDestroy") for one in recorder.all_of_type("oss/bucket:Bucket"))

    def test_a_stack_without_protection_has_none(self):
        recorder, _ = run(**GRID["disposable"])
        assert not [one.urn for one in recorder.registered.values() if one.protect]
        assert all(one.values["forceDestroy"] for one in recorder.all_of_type("oss/bucket:Bucket"))
        for one in own(recorder):
            assert not one.values.get("deletionProtectionConfig", {}).get("enabled"), one.urn
            assert not one.values.get("groupDeletionProtection"), one.urn


class TestBackends:
    def test_the_group_and_not_the_program_says_who_is_behind_the_load_balancer(self):
        """Else the next update would empty the server groups."""
        recorder, _ = run(**GRID["production"])
        groups = recorder.all_of_type("alb/serverGroup:ServerGroup")
        assert groups
        for group in groups:
            assert "servers" in group.ignore_changes, group.urn
            assert "servers" not in group.values


class TestProblems:
    def test_several_are_shown_at_once_and_nothing_is_registered(self):
        with pytest.raises(SettingsError) as caught:
            run(
                region="cn-hangzouh",
                instanceTypes=["ecs.g7.xlarge"],
                nodes={"min": 3, "max": 1},
                disk={"category": "cloud_auto"},
                apiKeys={},
            )
        text = str(caught.value)
        for key in ("region", "instanceTypes", "nodes.max", "disk.category", "apiKeys"):
            assert f"indextts2:{key}" in text

    @pytest.mark.parametrize(
        ("values", "key"),
        [
            ({"zones": ["cn-hangzhou-h"]}, "zones"),
            ({"image": "", "registry": {**ENTERPRISE, "instanceId": ""}}, "registry.instanceId"),
            ({"secrets": {"kind": "kms"}}, "secrets.kmsInstance"),
            ({"schedule": {"up": "09:00", "down": "19:00"}}, "schedule.until"),
            ({"access": {"domain": "speech.example.cn"}}, "access.certificate"),
            ({"alarms": {"email": "operations@example.com", "monthlyBudgetUsd": 100}}, "alarms.monthlyBudgetUsd"),
            ({"network": {"flowLogs": True}}, "network.flowLogs"),
            ({"ami": "ami-0123456789abcdef0"}, "ami"),
        ],
    )
    def test_what_this_cloud_cannot_do_is_refused_by_its_key(self, values: dict, key: str):
        with pytest.raises(SettingsError, match=f"indextts2:{key}: "):
            run(**values)

    def test_the_registrys_password_in_plain_text_is_refused_and_not_shown(self):
        config = as_config(**GRID["built for another registry"])
        with pytest.raises(SettingsError) as caught:
            run_program({}, config, secret_keys=("indextts2:apiKeys",), calls=CALLS)
        assert "indextts2:registryPassword" in str(caught.value)
        assert PASSWORD not in str(caught.value)
