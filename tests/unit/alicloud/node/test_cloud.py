"""Calls to the cloud: signed as the vendor says, with the role's credentials, and refused for every flaw."""

import json

import pytest

from components.alicloud.node import cloud as calls
from tests.alicloud_for_nodes import INSTANCE


@pytest.fixture
def here(monkeypatch, cloud):
    """The module in this process, pointed to the stand-in."""
    monkeypatch.setenv("API_URL", cloud.url)
    monkeypatch.setenv("METADATA_URL", f"{cloud.url}/latest")
    monkeypatch.setenv("REGION", "cn-hangzhou")
    return cloud


class TestSignature:
    def test_it_is_the_vendors_own_example(self):
        # https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
        headers = calls.signed_headers(
            "POST",
            "ecs.cn-shanghai.aliyuncs.com",
            "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
            "RunInstances",
            "2014-05-26",
            {"AccessKeyId": "YourAccessKeyId", "AccessKeySecret": "YourAccessKeySecret"},
            "2023-10-26T10:22:32Z",
            "3156853299f313e23d1673dc12e1703d",
        )
        assert headers["Authorization"].endswith(
            "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        )

    def test_arguments_with_every_character_arrive(self, here):
        name = "a b/c*~+&=%é中"
        here.policies.append({"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]})
        here.parameters[name] = "kept"
        answer = calls.call("oos", "GetSecretParameter", Name=name, WithDecryption=True)
        assert answer["Parameter"]["Value"] == "kept"
        assert here.calls[-1][1]["Name"] == name

    def test_lists_are_numbered_from_one(self, here):
        calls.call("ess", "DescribeScalingInstances", InstanceId=["i-a", "i-b"])
        assert here.calls[-1][1] == {"RegionId": "cn-hangzhou", "InstanceId.1": "i-a", "InstanceId.2": "i-b"}

    @pytest.mark.parametrize("part", ["AccessKeyId", "AccessKeySecret", "SecurityToken"])
    def test_other_credentials_than_the_roles_are_refused(self, here, monkeypatch, part):
        false = {"Code": "Success", **here.credentials, part: "another"}
        monkeypatch.setattr(calls, "_credentials", lambda: false)
        with pytest.raises(calls.CloudError) as caught:
            calls.call("ess", "DescribeScalingInstances", InstanceId=["i-a"])
        assert caught.value.refused
        assert not here.calls
        assert "another" not in str(caught.value)


class TestHosts:
    def test_they_are_the_regions_own_over_tls(self):
        hosts = [host.format(region="cn-hangzhou") for tried in calls.HOSTS.values() for host in tried]
        assert all(host.endswith(".aliyuncs.com") for host in hosts)
        assert set(calls.HOSTS) == set(calls.VERSIONS)

    def test_a_region_without_a_host_of_its_own_is_served_by_the_common_one(self, monkeypatch):
        asked = []

        def ask(url, action, version, query):
            asked.append(url)
            if "cn-hangzhou" in url:
                raise OSError("no such host")
            return {"asked": url}

        monkeypatch.delenv("API_URL", raising=False)
        monkeypatch.setenv("REGION", "cn-hangzhou")
        monkeypatch.setattr(calls, "_ask", ask)
        calls.call("ess", "DescribeScalingInstances")
        assert asked == ["https://ess.cn-hangzhou.aliyuncs.com", "https://ess.aliyuncs.com"]
        with pytest.raises(calls.CloudError) as caught:
            calls.call("oos", "GetSecretParameter", Name="n")
        assert not caught.value.refused


class TestErrors:
    def test_they_have_the_services_code_and_no_argument(self, here):
        with pytest.raises(calls.CloudError, match=r"GetSecretParameter: Forbidden\.RAM") as caught:
            calls.call("oos", "GetSecretParameter", Name="another-stack", WithDecryption=True)
        assert caught.value.refused

    def test_an_answer_of_a_service_that_is_not_well_leaves_open_what_happened(self, here):
        here.failing["ScaleWithAdjustment"] = (503, "ServiceUnavailable")
        with pytest.raises(calls.CloudError, match="ServiceUnavailable") as caught:
            calls.call(
                "ess",
                "ScaleWithAdjustment",
                ScalingGroupId="asg-bp1test",
                AdjustmentType="QuantityChangeInCapacity",
                AdjustmentValue=1,
            )
        assert not caught.value.refused

    def test_an_instance_without_a_role_cannot_call(self, here):
        here.role = ""
        with pytest.raises(calls.CloudError):
            calls.call("ess", "DescribeScalingInstances", InstanceId=["i-a"])
        assert not here.calls

    def test_a_code_that_would_break_a_log_line_is_left_out(self, here):
        here.failing["GetSecretParameter"] = (400, "a\nforged line")
        with pytest.raises(calls.CloudError) as caught:
            calls.call("oos", "GetSecretParameter", Name="speech-test-api-keys-01234567", WithDecryption=True)
        assert "\n" not in str(caught.value)


class TestMetadata:
    def test_it_is_asked_with_a_token(self, here):
        assert calls.metadata("instance-id") == INSTANCE
        assert len(here.tokens) == 1

    def test_what_is_not_there_is_none(self, here):
        assert calls.metadata("instance/spot/termination-time") is None

    def test_credentials_are_those_of_the_role(self, here):
        assert json.loads(calls.metadata("ram/security-credentials/speech-node"))["AccessKeyId"] == "STS.test"
