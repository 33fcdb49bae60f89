"""The API keys on AWS: where the plaintext is and is not, and what moves when a key moves."""

import json

import pulumi
import pytest

from components.aws.secrets import ApiKeys
from components.contracts import ApiKeysArgs
from components.keys_file import keys_file
from tests.unit.aws.one_part import KEY, aws_settings, register


def keys(**values):
    settings = aws_settings(**values)

    def make():
        made = ApiKeys("speech", ApiKeysArgs(settings), pulumi.ResourceOptions())
        return {"reference": made.reference, "arn": made.arn, "generated": made.generated}

    return register(make)


class TestPlaintext:
    def test_only_the_write_only_value_holds_it_and_as_a_secret(self):
        recorder, outputs = keys()
        value = recorder.of_type(":SecretVersion")
        assert value.values["secretStringWo"] == keys_file({"studio": KEY})
        assert {"secretStringWo", "secretStringWoVersion"} <= value.secret_inputs
        assert not {"secretString", "secretBinary"} & value.values.keys()
        for one in recorder.registered.values():
            if one is not value:
                assert KEY not in json.dumps(one.inputs, default=str), one.urn
        assert KEY not in json.dumps(outputs)

    def test_the_target_makes_no_key_of_its_own(self):
        assert keys()[1]["generated"] is None


class TestRecovery:
    @pytest.mark.parametrize(("protect", "days"), [(True, 30), (False, 0)])
    def test_a_deleted_secret_comes_back_in_production_only(self, protect, days):
        secret = keys(protect=protect)[0].of_type("/secret:Secret")
        assert secret.values["recoveryWindowInDays"] == days
        assert secret.protect is protect
