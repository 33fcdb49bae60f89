"""The strictness of the tests' own stand-ins: what they refuse because the SDK's metadata says so."""

import pytest

from tests.sdk_schema import (
    UNKNOWN,
    UnknownTypeError,
    config_value,
    function_schema,
    input_problems,
    resource_schema,
)

TEMPLATE = resource_schema("aws:ec2/launchTemplate:LaunchTemplate")
LISTENER = resource_schema("aws:lb/listener:Listener")


class TestResources:
    def test_what_is_right_passes(self):
        values = {
            "imageId": "ami-1",
            "blockDeviceMappings": [{"deviceName": "/dev/sda1", "ebs": {"volumeSize": 75.0, "encrypted": "true"}}],
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2.0},
            "updateDefaultVersion": True,
            "tags": {"stack": "dev"},
        }
        assert input_problems(TEMPLATE, values) == []

    @pytest.mark.parametrize(
        ("values", "problem"),
        [
            ({"imageID": "ami-1"}, "there is no property imageID"),
            ({"image_id": "ami-1"}, "there is no property image_id"),
            ({"imageId": 1.0}, "imageId is not of type str but float"),
            ({"updateDefaultVersion": "yes"}, "updateDefaultVersion is not of type bool but str"),
            ({"defaultVersion": 1.5}, "defaultVersion is not of type int but float"),
            ({"defaultVersion": True}, "defaultVersion is not of type int but bool"),
            ({"blockDeviceMappings": {}}, "blockDeviceMappings is not a list but dict"),
            ({"blockDeviceMappings": ["sda"]}, "blockDeviceMappings[0] is not an object but str"),
            (
                {"blockDeviceMappings": [{"ebs": {"volumeSise": 1.0}}]},
                "there is no property blockDeviceMappings[0].ebs.volumeSise",
            ),
            ({"tags": {"a": 1.0}}, "tags.a is not of type str but float"),
            ({"tags": ["a"]}, "tags is not an object but list"),
        ],
    )
    def test_what_is_wrong_is_named(self, values, problem):
        ((name, text),) = input_problems(TEMPLATE, values)
        assert text == f"{TEMPLATE.token}: {problem}"
        assert name in values

    def test_what_is_required_is_missed_at_every_depth(self):
        problems = [text for _, text in input_problems(LISTENER, {"defaultActions": [{"order": 1.0}]})]
        assert problems == [
            "aws:lb/listener:Listener: defaultActions[0].type is required",
            "aws:lb/listener:Listener: loadBalancerArn is required",
        ]

    def test_what_is_not_known_yet_passes(self):
        values = {"defaultActions": [{"type": "forward", "targetGroupArn": UNKNOWN}], "loadBalancerArn": UNKNOWN}
        assert input_problems(LISTENER, values) == []

    def test_no_value_is_shown(self):
        secret = resource_schema("aws:secretsmanager/secretVersion:SecretVersion")
        assert "hush" not in str(input_problems(secret, {"secretId": ["hush"], "secretString": {"hush": "hush"}}))

    def test_a_type_that_the_sdk_does_not_have_is_refused(self):
        with pytest.raises(UnknownTypeError, match="aws:sqs/queue:Queueue"):
            resource_schema("aws:sqs/queue:Queueue")

    def test_another_package_goes_by_the_same_code(self):
        image = resource_schema("docker:index/image:Image")
        problems = input_problems(image, {"imageName": "a/b", "build": {"contexts": "."}})
        assert [text for _, text in problems] == ["docker:index/image:Image: there is no property build.contexts"]

    def test_outputs_say_which_are_always_there(self):
        outputs = resource_schema("aws:sqs/queue:Queue").outputs
        assert outputs["url"].required
        assert not outputs["fifoQueue"].required


class TestProviders:
    def test_their_own_properties_travel_as_json(self):
        provider = resource_schema("pulumi:providers:aws")
        values = {"region": "us-west-2", "defaultTags": '{"tags": {"a": "b"}}', "allowedAccountIds": '["123456789012"]'}
        assert input_problems(provider, {name: config_value(text) for name, text in values.items()}) == []
        wrong = {"defaultTags": '{"tag": {}}', "regoin": "us-west-2"}
        assert len(input_problems(provider, {name: config_value(text) for name, text in wrong.items()})) == 2


class TestFunctions:
    def test_arguments_are_checked_like_inputs(self):
        offerings = function_schema("aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings")
        right = {"filters": [{"name": "instance-type", "values": ["g5.xlarge"]}], "locationType": "availability-zone"}
        assert input_problems(offerings, right) == []
        assert len(input_problems(offerings, {"filter": [], "filters": [{"name": "a"}]})) == 2

    def test_a_function_that_the_sdk_does_not_have_is_refused(self):
        with pytest.raises(UnknownTypeError, match="getGpu"):
            function_schema("aws:ec2/getGpu:getGpu")
