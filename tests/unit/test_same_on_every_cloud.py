"""The clouds give the same service: the same parts, the same outputs, servers that are told the same but for URLs."""

import base64
import json
import re
from typing import ClassVar

import pytest

from tests.recorder import Recorder, run_program
from tests.unit.alicloud import one_part as alicloud_part
from tests.unit.aws import one_part as aws_part
from tests.unit.aws.test_image import TOKEN
from tests.unit.test_program import LOCAL_TYPES

IMAGE = f"registry.example.com/speech@sha256:{'a' * 64}"
DOMAIN = "speech.example.com"
STACKS = {
    "aws": aws_part.as_config(
        image=IMAGE,
        engine={"name": "indextts2"},
        access={"domain": DOMAIN, "hostedZone": "Z0123456789ABCDEFGHIJ"},
        nodes={"max": 2},
    ),
    "alicloud": alicloud_part.as_config(
        image=IMAGE,
        engine={"name": "indextts2"},
        access={"domain": DOMAIN, "certificate": "12345678-cn-hangzhou"},
        nodes={"max": 2},
    ),
}
TEMPLATES = {"aws": "ec2/launchTemplate:LaunchTemplate", "alicloud": "ecs/ecsLaunchTemplate:EcsLaunchTemplate"}
# What a machine of one's own has no use for, and what it alone has.
OF_CLOUDS, OF_A_MACHINE = {"region", "dashboardUrl", "price"}, {"apiKey"}
URLS = {
    "aws": {
        "SPEECH_STORE": r"s3://[a-z0-9.-]+\?region=us-west-2",
        "SPEECH_QUEUE": r"sqs://us-west-2/\d{12}/[\w.-]+",
        "SPEECH_TOPIC": r"sns://us-west-2/\d{12}/[\w.-]+",
    },
    "alicloud": {
        "SPEECH_STORE": r"oss://[a-z0-9-]+\?region=cn-hangzhou&internal=true",
        "SPEECH_QUEUE": r"smq://cn-hangzhou/\d{16}/[\w.-]+\?internal=true&dead=[\w.-]+",
        "SPEECH_TOPIC": r"smq-topic://cn-hangzhou/\d{16}/[\w.-]+\?internal=true",
    },
}


@pytest.fixture(scope="module")
def ran() -> dict[str, tuple[Recorder, dict]]:
    """The same stack on each cloud."""
    return {cloud: run_program({}, config, secret_keys=("indextts2:apiKeys",)) for cloud, config in STACKS.items()}


def told(cloud: str, recorder: Recorder) -> dict[str, str]:
    """What a node's user data tells the server."""
    script = base64.b64decode(recorder.of_type(TEMPLATES[cloud]).values["userData"]).decode()
    return dict(re.findall(r"^(SPEECH_\w+)=(.*)$", script, re.MULTILINE))


class TestOutputs:
    def test_the_clouds_have_the_same(self, ran):
        assert set(ran["aws"][1]) == set(ran["alicloud"][1])

    def test_a_machine_has_them_too_but_for_its_place_and_with_its_own_key(self, ran, tmp_path):
        config = {"indextts2:dataDir": str(tmp_path / "data"), "indextts2:checks": "false"}
        _, local = run_program(LOCAL_TYPES, config)
        assert set(local) - OF_A_MACHINE == set(ran["aws"][1]) - OF_CLOUDS
        assert set(local) >= OF_A_MACHINE

    def test_the_address_is_the_domains_on_both(self, ran):
        for _, outputs in ran.values():
            assert outputs["url"]["value"] == f"https://{DOMAIN}"
            assert outputs["healthUrl"]["value"] == f"https://{DOMAIN}/readyz"


class TestParts:
    def test_the_clouds_have_the_same(self, ran):
        def parts(cloud: str) -> set[str]:
            kinds = {one.type for one in ran[cloud][0].registered.values() if not one.custom}
            return {kind.replace(f":{cloud}:", ":cloud:") for kind in kinds}

        assert parts("aws") == parts("alicloud")


class TestServers:
    def test_they_are_told_the_same_but_for_urls(self, ran):
        aws, alicloud = (told(cloud, ran[cloud][0]) for cloud in ("aws", "alicloud"))
        assert aws["SPEECH_PUBLIC_URL"] == f"https://{DOMAIN}"
        assert aws.keys() == alicloud.keys()
        assert {name for name in aws if aws[name] != alicloud[name]} == {
            "SPEECH_STORE",
            "SPEECH_QUEUE",
            "SPEECH_TOPIC",
            "SPEECH_WEIGHTS_SOURCE",
        }
        assert aws["SPEECH_ENGINE_WEIGHTS"] == aws["SPEECH_WEIGHTS_DIR"]

    @pytest.mark.parametrize("cloud", STACKS)
    def test_the_urls_are_of_their_cloud(self, ran, cloud: str):
        environment = told(cloud, ran[cloud][0])
        for name, form in URLS[cloud].items():
            assert re.fullmatch(form, environment[name]), environment[name]

    @pytest.mark.parametrize("cloud", STACKS)
    def test_the_outputs_name_what_the_servers_use(self, ran, cloud: str):
        recorder, outputs = ran[cloud]
        environment = told(cloud, recorder)
        assert environment["SPEECH_QUEUE"] == outputs["queue"]["value"]
        assert environment["SPEECH_STORE"].partition("//")[2].partition("?")[0] == outputs["bucket"]["value"]
        assert environment["SPEECH_IMAGE"] == outputs["image"]["value"] == IMAGE


class TestWeightsImage:
    """What a node is told of the image that brings its weights."""

    BUILT: ClassVar[dict[str, dict[str, str]]] = {
        "aws": aws_part.as_config(engine={"name": "indextts2"}),
        "alicloud": alicloud_part.as_config(
            engine={"name": "indextts2"}, image="", registry=alicloud_part.PERSONAL, registryPassword="hunter22"
        ),
    }

    def told(self, cloud: str, recorder: Recorder) -> tuple[str, str]:
        """The server's image and that of the weights."""
        script = base64.b64decode(recorder.of_type(TEMPLATES[cloud]).values["userData"]).decode()
        found = dict(re.findall(r"^((?:WEIGHTS_)?IMAGE)=(.*)$", script, re.MULTILINE))
        return found["IMAGE"], found["WEIGHTS_IMAGE"].strip("'")

    @pytest.mark.parametrize("cloud", STACKS)
    def test_built_by_the_stack_it_is_another_digest_of_the_same_repository(self, cloud: str):
        keys = ("indextts2:apiKeys", "indextts2:registryPassword")
        recorder, _ = run_program({}, self.BUILT[cloud], secret_keys=keys, calls=TOKEN)
        server, weights = self.told(cloud, recorder)
        assert server.partition("@")[0] == weights.partition("@")[0] != ""
        assert "@sha256:" in weights
        assert weights != server

    @pytest.mark.parametrize("cloud", STACKS)
    def test_a_ready_image_has_none_beside_it(self, ran, cloud: str):
        assert self.told(cloud, ran[cloud][0]) == (IMAGE, "")

    @pytest.mark.parametrize("cloud", STACKS)
    def test_unless_it_is_given(self, cloud: str):
        small = f"registry.example.com/weights@sha256:{'b' * 64}"
        config = {**STACKS[cloud], "indextts2:weights": json.dumps({"image": small})}
        recorder, _ = run_program({}, config, secret_keys=("indextts2:apiKeys",))
        assert self.told(cloud, recorder) == (IMAGE, small)
