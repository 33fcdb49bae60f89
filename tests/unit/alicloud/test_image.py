"""The server's image on Alibaba Cloud: what is built, where it is pushed, and how nodes log in."""

import json

import pulumi
import pytest

from components.alicloud.image import ServerImage, build_arguments, pulled_as
from components.contracts import ServerImageArgs
from components.image_source import INFERENCE, build_tag
from tests.unit.alicloud.one_part import DIGEST, ENTERPRISE, PERSONAL, alicloud_settings, register

BUILD = {
    "baseImage": "mirror.example.com/python:3.12-slim-bookworm",
    "pipIndex": "https://mirror.example.com/simple/",
    "debianMirror": "http://mirror.example.com",
}
INSTANCES = {
    "alicloud:cs/getRegistryEnterpriseInstances:getRegistryEnterpriseInstances": {
        "id": "1",
        "names": ["studio"],
        "instances": [
            {
                "authorizationToken": "token-of-an-hour",
                "id": ENTERPRISE["instanceId"],
                "name": "studio",
                "namespaceQuota": "15",
                "namespaceUsage": "1",
                "publicEndpoints": [ENTERPRISE["host"]],
                "region": "cn-hangzhou",
                "repoQuota": "1000",
                "repoUsage": "1",
                "specification": "Basic",
                "tags": {},
                "tempUsername": "cr_temp_user",
                "vpcEndpoints": [ENTERPRISE["nodeHost"]],
            }
        ],
    }
}


def image(**values):
    settings = alicloud_settings(**values)

    def make():
        made = ServerImage("speech", ServerImageArgs(settings), pulumi.ResourceOptions())
        registry = made.registry
        return {
            "reference": made.reference,
            "weights_reference": made.weights_reference,
            "registry": None
            if registry is None
            else (registry.kind, registry.host, registry.instance_id, registry.user),
            "password": None if registry is None else registry.password_reference,
        }

    return register(make, calls=INSTANCES)


class TestTaken:
    def test_a_public_image_needs_nothing(self):
        recorder, outputs = image()
        assert not [one for one in recorder.registered.values() if one.custom]
        assert outputs["reference"] == f"registry.example.com/speech/server@{DIGEST}"
        assert outputs["registry"] is None

    def test_a_ready_image_brings_the_weights_itself(self):
        recorder, outputs = image(engine={"name": "indextts2"})
        assert not [one for one in recorder.registered.values() if one.custom]
        assert outputs["weights_reference"] is None

    def test_nodes_log_in_to_an_enterprise_instance_with_its_token(self):
        reference = f"{ENTERPRISE['nodeHost']}/speech/server@{DIGEST}"
        recorder, outputs = image(registry=ENTERPRISE, image=reference)
        assert outputs["registry"] == ("enterprise", ENTERPRISE["nodeHost"], ENTERPRISE["instanceId"], None)
        assert outputs["password"] is None
        assert not [one for one in recorder.registered.values() if one.custom]

    def test_a_password_is_a_hidden_parameter_and_nowhere_else(self):
        reference = f"{PERSONAL['host']}/speech/server@{DIGEST}"
        recorder, outputs = image(registry=PERSONAL, registryPassword="hunter22", image=reference)
        holder = recorder.of_type(":SecretParameter")
        assert outputs["registry"] == ("personal", PERSONAL["host"], None, PERSONAL["user"])
        assert outputs["password"] == holder.values["secretParameterName"]
        assert "value" in holder.secret_inputs
        assert "hunter22" not in json.dumps([holder.shown, outputs], default=str)


class TestBuilt:
    def test_it_is_pushed_to_the_instance_with_a_token_and_pulled_inside_the_cloud(self):
        recorder, outputs = image(registry=ENTERPRISE, image="")
        pushed = recorder.of_type(":Image")
        assert pushed.values["imageName"].startswith(f"{ENTERPRISE['host']}/speech/server:")
        assert pushed.values["registry"] == {
            "server": ENTERPRISE["host"],
            "username": "cr_temp_user",
            "password": "token-of-an-hour",
        }
        assert "token-of-an-hour" not in json.dumps([pushed.shown, outputs], default=str)
        assert outputs["reference"].startswith(f"{ENTERPRISE['nodeHost']}/speech/server@sha256:")

    def test_with_a_user_it_is_pushed_as_that(self):
        recorder, outputs = image(registry=PERSONAL, registryPassword="hunter22", image="")
        pushed = recorder.of_type("docker:index/image:Image")
        assert pushed.values["registry"]["username"] == PERSONAL["user"]
        assert "hunter22" not in json.dumps(pushed.shown, default=str)
        assert outputs["reference"].startswith(f"{PERSONAL['host']}/speech/server@sha256:")

    def test_it_is_built_for_the_nodes_processor_from_the_given_mirrors(self):
        recorder, _ = image(registry=ENTERPRISE, image="", build=BUILD)
        build = recorder.of_type(":Image").values["build"]
        assert build["platform"] == "linux/amd64"
        assert build["context"] == str(INFERENCE)
        assert build["args"] == {
            "BASE_IMAGE": BUILD["baseImage"],
            "PIP_INDEX_URL": BUILD["pipIndex"],
            "DEBIAN_MIRROR": BUILD["debianMirror"],
        }

    def test_it_is_the_one_with_the_stacks_engine(self):
        recorder, outputs = image(registry=ENTERPRISE, image="", engine={"name": "espeak"})
        assert recorder.of_type(":Image").values["build"]["target"] == "cpu"
        assert outputs["weights_reference"] is None

    def test_an_engine_with_weights_has_a_small_image_that_brings_them(self):
        recorder, outputs = image(registry=ENTERPRISE, image="", build=BUILD, engine={"name": "indextts2"})
        built = {one.values["build"]["target"]: one.values for one in recorder.all_of_type("docker:index/image:Image")}
        assert built.keys() == {"indextts2", "weights"}
        server, weights = built["indextts2"], built["weights"]
        assert server["registry"] == weights["registry"]
        assert server["build"]["args"] == weights["build"]["args"]
        assert server["imageName"] != weights["imageName"]
        assert outputs["weights_reference"].startswith(f"{ENTERPRISE['nodeHost']}/speech/server@sha256:")
        assert outputs["weights_reference"] != outputs["reference"]

    def test_without_mirrors_the_dockerfile_decides(self):
        assert build_arguments(alicloud_settings().build) == {}


class TestNames:
    def test_another_base_is_another_tag_and_the_same_is_the_same(self):
        plain, mirrored = (build_arguments(alicloud_settings(build=build).build) for build in ({}, BUILD))
        assert build_tag("cpu", plain) == build_tag("cpu", {}) != build_tag("cpu", mirrored)
        assert len({build_tag(target, plain) for target in ("cpu", "indextts2", "weights")}) == 3
        assert len(build_tag("cpu", plain)) == 16

    @pytest.mark.parametrize(
        ("node_host", "pulled"),
        [("b.example.com", "b.example.com/n/r@sha256:0"), (None, "a.example.com/n/r@sha256:0")],
    )
    def test_nodes_pull_the_same_by_their_own_host(self, node_host, pulled):
        assert pulled_as("a.example.com/n/r@sha256:0", "a.example.com", node_host) == pulled
