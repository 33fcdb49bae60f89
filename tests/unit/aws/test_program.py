"""The whole program on the AWS target, without an engine, over a grid of settings.

The recorder holds every resource against the SDK's own metadata and refuses what it does not know (tests/recorder.py).
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from components.settings import SettingsError
from tests.engine.standin.naming import made_up
from tests.recorder import Recorder, run_program
from tests.sdk_schema import resource_schema
from tests.unit.aws.one_part import KEY, as_config

ROOT = Path(__file__).resolve().parents[3]
IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/speech@sha256:" + "0" * 64
CERTIFICATE = "arn:aws:acm:us-west-2:123456789012:certificate/12345678-1234-1234-1234-123456789012"
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
# What the program asks when it looks nothing up: the registry's password for the push.
CALLS = {
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": {
        "authorizationToken": "dG9rZW4=",
        "expiresAt": "2000-01-01T00:00:00Z",
        "id": "us-west-2",
        "password": "password-of-the-registry",
        "proxyEndpoint": "https://123456789012.dkr.ecr.us-west-2.amazonaws.com",
        "userName": "AWS",
    }
}
WITH_ZONE = {"domain": "speech.example.com", "hostedZone": "Z0123456789ABCDEFGHIJ"}
GRID = {
    "least": {},
    "public nodes": {"network": {"private": False}},
    "flow logs": {"network": {"private": True, "flowLogs": True}},
    "existing network": {"network": {"vpcId": "vpc-0123456789abcdef0", "subnetIds": SUBNETS}},
    "issued certificate": {"access": WITH_ZONE},
    "given certificate": {"access": {"domain": "speech.example.com", "certificate": CERTIFICATE}},
    "given certificate, record in the zone": {"access": {**WITH_ZONE, "certificate": CERTIFICATE}},
    "several callers": {"access": {"allowedCidrs": ["203.0.113.0/24", "198.51.100.7/32"]}},
    "ready image": {"image": IMAGE},
    "another registry's image": {"image": "ghcr.io/studio/speech@sha256:" + "0" * 64},
    "on demand alone": {"nodes": {"min": 2, "max": 5, "onDemandBase": 2, "spot": False}},
    "from zero": {"nodes": {"min": 0, "max": 3, "onDemandBase": 0, "spot": True}},
    "office hours": {"schedule": {"timeZone": "Europe/Berlin", "up": "09:00", "down": "19:00", "days": "MON-FRI"}},
    "three types": {"instanceTypes": ["g5.xlarge", "g6.xlarge", "g4dn.xlarge"]},
    "three zones": {"zones": ["us-west-2a", "us-west-2b", "us-west-2c"]},
    "told and budgeted": {"alarms": {"email": "operations@example.com", "idleMinutes": 15, "monthlyBudgetUsd": 900}},
    "protected": {"protect": True, "storage": {"forceDestroy": False}},
    "disposable": {"protect": False, "storage": {"forceDestroy": True}},
    "tagged": {"tags": {"costCenter": "dubbing"}},
    "several clients": {"apiKeys": {"studio": KEY, "school": "s" * 40}},
    "the model": {"engine": {"name": "indextts2"}},
    "the model in bf16, its weights by hand": {
        "engine": {"name": "indextts2", "precision": "bf16"},
        "weights": {"source": "none"},
        "instanceTypes": ["g5.xlarge"],
    },
    "another region": {"region": "ap-northeast-1", "zones": ["ap-northeast-1a", "ap-northeast-1c"]},
}
# Everything on at once, as in production.
GRID["production"] = {
    "access": WITH_ZONE,
    "network": {"private": True, "flowLogs": True},
    "nodes": {"min": 1, "max": 4, "onDemandBase": 1, "spot": True},
    **{
        key: value
        for name in ("three types", "three zones", "told and budgeted", "protected", "the model")
        for key, value in GRID[name].items()
    },
}
PARTS = {
    "Network", "ObjectStore", "JobQueue", "ApiKeys", "ServerImage", "GpuFleet", "LoadBalancer", "Monitoring",
}  # fmt: skip
OUTPUTS = {
    "url", "healthUrl", "bucket", "queue", "apiKeysSecret", "image", "fleet", "region", "dashboardUrl", "price",
}  # fmt: skip


def run(*, preview: bool = False, **values: object) -> tuple[Recorder, dict]:
    return run_program({}, as_config(**values), secret_keys=("indextts2:apiKeys",), preview=preview, calls=CALLS)


@pytest.fixture(scope="module", params=GRID.values(), ids=GRID.keys())
def ran(request: pytest.FixtureRequest) -> tuple[Recorder, dict]:
    """Every stack of the grid, run once."""
    return run(**request.param)


class TestGrid:
    def test_every_resource_hangs_on_a_part_and_uses_the_one_provider(self, ran):
        recorder, _ = ran
        provider = recorder.named("aws", ":aws")
        assert {one.type for one in recorder.registered.values() if not one.custom} == {
            "indextts2:service:SpeechService",
            *(f"indextts2:aws:{part}" for part in PARTS),
        }
        for one in recorder.registered.values():
            if one.custom and one is not provider:
                assert "$indextts2:aws:" in one.parent, one.urn
            if one.custom and one.type.startswith("aws:"):
                assert one.provider.startswith(f"{provider.urn}::"), one.urn

    def test_the_outputs_are_those_that_every_target_has_and_no_secret_among_them(self, ran):
        _, outputs = ran
        assert set(outputs) == OUTPUTS
        assert not [name for name, output in outputs.items() if output["secret"]]

    def test_the_keys_go_to_the_secret_alone_and_as_a_secret(self, ran):
        recorder, outputs = ran
        holder = recorder.of_type(":SecretVersion")
        assert KEY in holder.values["secretStringWo"]
        assert "secretStringWo" in holder.secret_inputs
        for one in recorder.registered.values():
            if one is not holder:
                assert KEY not in json.dumps(one.values, default=str), one.urn
        assert KEY not in json.dumps(outputs)

    def test_neither_they_nor_the_registrys_password_stand_open_anywhere(self, ran):
        recorder, _ = ran
        for one in recorder.registered.values():
            open_to_all = json.dumps(one.shown, default=str)
            assert KEY not in open_to_all, one.urn
            assert "password-of-the-registry" not in open_to_all, one.urn

    def test_made_up_names_are_within_their_limits(self, ran):
        recorder, _ = ran
        for one in recorder.registered.values():
            if one.custom and one.type.startswith("aws:"):
                made_up(resource_schema(one.type), one.name)


class TestPreview:
    @pytest.mark.parametrize("name", ["least", "production"])
    def test_it_registers_what_an_update_would(self, name: str):
        assert run(**GRID[name], preview=True)[0].registered.keys() == run(**GRID[name])[0].registered.keys()


class TestProtection:
    def test_production_protects_what_holds_data_and_what_answers(self):
        recorder, _ = run(**GRID["production"])
        protected = {one.type.rpartition(":")[2] for one in recorder.registered.values() if one.protect}
        assert {"Bucket", "Queue", "Secret", "LoadBalancer"} <= protected
        balancer = next(one for one in recorder.all_of_type("lb/loadBalancer:LoadBalancer"))
        assert balancer.values["enableDeletionProtection"] is True
        for bucket in recorder.all_of_type("s3/bucket:Bucket"):
            assert bucket.values.get("forceDestroy", False) is False, bucket.urn

    def test_a_stack_without_protection_has_none(self):
        recorder, _ = run(**GRID["disposable"])
        assert not [one.urn for one in recorder.registered.values() if one.protect]
        assert all(one.values["forceDestroy"] for one in recorder.all_of_type("s3/bucket:Bucket"))


class TestProblems:
    def test_several_are_shown_at_once_and_nothing_is_registered(self):
        with pytest.raises(SettingsError) as caught:
            run(region="us-west-9", instanceTypes=["p3.2xlarge"], nodes={"min": 3, "max": 1}, apiKeys={})
        text = str(caught.value)
        for key in ("indextts2:region", "indextts2:instanceTypes", "indextts2:nodes.max", "indextts2:apiKeys"):
            assert key in text


class TestImports:
    """In a process of its own: what a test before has imported would hide what the program imports."""

    @pytest.mark.parametrize(
        ("target", "foreign"),
        [
            ("aws", ("pulumi_alicloud", "components.local")),
            ("local", ("pulumi_aws", "pulumi_docker", "pulumi_alicloud", "components.aws")),
        ],
    )
    def test_a_target_imports_no_other_clouds_sdk(self, target: str, foreign: tuple[str, ...], tmp_path: Path):
        config = {"indextts2:target": "local", "indextts2:checks": "false", "indextts2:dataDir": str(tmp_path)}
        if target == "aws":
            config = as_config()
        program = f"""
import sys
from pulumi.runtime import config, mocks, set_mocks
from pulumi.runtime.stack import run_pulumi_func
config.set_all_config({config!r}, ["indextts2:apiKeys"])
from components.settings import load
from components import service
import importlib
importlib.import_module("components.{target}")
load("test", {config!r}, is_secret=lambda key: True)
found = [name for name in {foreign!r} if name in sys.modules]
assert "components.{target}" in sys.modules
assert not found, found
"""
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
