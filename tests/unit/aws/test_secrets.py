"""The API keys on AWS: where the plaintext is and is not, and what moves when a key moves."""

import json

import pulumi
import pytest

from components.aws.secrets import ApiKeys
from components.contracts import ApiKeysArgs
from tests.unit.aws.one_part import KEY, aws_settings, register


def keys(**values):
    settings = aws_settings(**values)

    def make():
        made = ApiKeys("speech", ApiKeysArgs(settings), pulumi.ResourceOptions())
        return {"reference": made.reference, "arn": made.arn, "generated": made.generated}

    return register(make)


def stored_version(**values):
    return keys(**values)[0].of_type(":SecretVersion").values["secretStringWoVersion"]


class TestPlaintext:
    def test_only_the_write_only_value_holds_it_and_as_a_secret(self):
        recorder, outputs = keys()
        value = recorder.of_type(":SecretVersion")
        assert json.loads(value.values["secretStringWo"]) == {"studio": KEY}
        assert {"secretStringWo", "secretStringWoVersion"} <= value.secret_inputs
        assert not {"secretString", "secretBinary"} & value.values.keys()
        for one in recorder.registered.values():
            if one is not value:
                assert KEY not in json.dumps(one.inputs, default=str), one.urn
        assert KEY not in json.dumps(outputs)

    def test_the_target_makes_no_key_of_its_own(self):
        assert keys()[1]["generated"] is None


class TestVersion:
    def test_it_moves_with_a_key_a_name_a_client_and_a_limit(self):
        given = [
            {"apiKeys": {"a": KEY}},
            {"apiKeys": {"a": KEY[:-1] + "x"}},
            {"apiKeys": {"b": KEY}},
            {"apiKeys": {"a": KEY, "b": KEY[:-1] + "x"}},
            {"apiKeys": {"a": [KEY, KEY[:-1] + "x"]}},
            {"apiKeys": {"a": KEY}, "clients": {"a": {"concurrency": 2}}},
        ]
        assert len({stored_version(**one) for one in given}) == len(given)

    def test_it_stays_when_only_the_order_changes(self):
        other = KEY[:-1] + "x"
        assert stored_version(apiKeys={"a": KEY, "b": other}) == stored_version(apiKeys={"b": other, "a": KEY})


class TestRecovery:
    @pytest.mark.parametrize(("protect", "days"), [(True, 30), (False, 0)])
    def test_a_deleted_secret_comes_back_in_production_only(self, protect, days):
        secret = keys(protect=protect)[0].of_type("/secret:Secret")
        assert secret.values["recoveryWindowInDays"] == days
        assert secret.protect is protect
