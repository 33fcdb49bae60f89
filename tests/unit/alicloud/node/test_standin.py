"""The stand-in of the cloud refuses what the real one would: else every test against it says nothing."""

import datetime
import urllib.error
import urllib.request

import pytest

from components.alicloud.node.cloud import signed_headers
from tests.alicloud_for_nodes import GROUP

QUERY = f"RegionId=cn-hangzhou&ScalingGroupId={GROUP}"


def send(cloud, *, query=QUERY, sent=None, action="DescribeScalingInstances", at=0, nonce="n", change=None, body=None):
    """The status of a call; `at`: seconds from now, `change`: headers as they are sent in place of those signed."""
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=at)
    host = cloud.url.removeprefix("http://")
    headers = signed_headers(
        "POST", host, query, action, "2014-08-28", cloud.credentials, now.strftime("%Y-%m-%dT%H:%M:%SZ"), nonce
    )
    request = urllib.request.Request(
        f"{cloud.url}/?{sent or query}", data=body, method="POST", headers={**headers, **(change or {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, cloud.refused[-1]


class TestSignature:
    def test_a_right_one_is_taken(self, cloud):
        assert send(cloud) == (200, "")

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"sent": f"{QUERY}&PageSize=50"}, "SignatureDoesNotMatch"),
            ({"change": {"x-acs-action": "RemoveInstances"}}, "SignatureDoesNotMatch"),
            ({"change": {"x-acs-date": "2026-01-01T00:00:00Z"}}, "SignatureDoesNotMatch"),
            ({"change": {"x-acs-extra": "unsigned"}}, "SignatureDoesNotMatch.SignedHeaders"),
            ({"body": b"a body"}, "SignatureDoesNotMatch.SignedHeaders"),
            ({"body": b"a body", "change": {"Content-Type": ""}}, "SignatureDoesNotMatch.SignedHeaders"),
            ({"change": {"Authorization": "none"}}, "MissingAuthorization"),
            ({"change": {"x-acs-security-token": "another"}}, "InvalidSecurityToken.Malformed"),
            ({"at": -1000}, "InvalidTimeStamp.Expired"),
            ({"at": 1000}, "InvalidTimeStamp.Expired"),
        ],
    )
    def test_a_wrong_one_is_refused(self, cloud, wrong, code):
        assert send(cloud, **wrong)[1] == code
        assert not cloud.calls

    def test_the_same_call_twice_is_refused(self, cloud):
        assert send(cloud)[0] == 200
        assert send(cloud) == (400, "SignatureNonceUsed")


class TestArguments:
    @pytest.mark.parametrize(
        ("call", "code"),
        [
            ({"query": f"{QUERY}&Unknown=1"}, "InvalidParameter"),
            ({"query": f"ScalingGroupId={GROUP}"}, "MissingParameter"),
            ({"query": f"RegionId=us-west-1&ScalingGroupId={GROUP}"}, "InvalidRegionId.NotFound"),
            ({"action": "DeleteScalingGroup"}, "InvalidAction.NotFound"),
            ({"action": "PutCustomMetric"}, "InvalidAction.NotFound"),
        ],
    )
    def test_what_the_api_does_not_have_is_refused(self, cloud, call, code):
        assert send(cloud, **call)[1] == code


class TestRights:
    def test_what_no_policy_allows_is_refused(self, cloud):
        cloud.policies = []
        assert send(cloud)[0] == 403


class TestMetadata:
    @pytest.mark.parametrize("headers", [{}, {"X-aliyun-ecs-metadata-token": "guessed"}])
    def test_it_is_given_to_tokens_alone(self, cloud, headers):
        request = urllib.request.Request(f"{cloud.url}/latest/meta-data/instance-id", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        with caught.value as error:
            assert error.code == 403

    def test_a_token_has_a_life(self, cloud):
        request = urllib.request.Request(f"{cloud.url}/latest/api/token", method="PUT")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        with caught.value as error:
            assert error.code == 400
