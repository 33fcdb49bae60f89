"""The API keys on Alibaba Cloud: where the plaintext is and is not, and what moves when a key moves."""

import json

import pulumi
import pytest

from components.alicloud.secrets import ApiKeys
from components.contracts import ApiKeysArgs
from tests.unit.alicloud.one_part import KEY, alicloud_settings, register

KMS = {"kind": "kms", "kmsInstance": "kst-hzz65f176a0ogplgq23ab"}


def keys(**values):
    settings = alicloud_settings(**values)

    def make():
        made = ApiKeys("speech", ApiKeysArgs(settings), pulumi.ResourceOptions())
        return {name: getattr(made, name) for name in ("reference", "kind", "key_arn", "generated")}

    return register(make)


class TestPlaintext:
    @pytest.mark.parametrize(
        ("secrets", "kind", "place"),
        [({"kind": "parameter"}, ":SecretParameter", "value"), (KMS, "kms/secret:Secret", "secretData")],
    )
    def test_only_the_value_holds_it_and_as_a_secret(self, secrets, kind, place):
        recorder, outputs = keys(secrets=secrets)
        holder = recorder.of_type(kind)
        assert json.loads(holder.values[place]) == {"studio": KEY}
        assert place in holder.secret_inputs
        assert KEY not in json.dumps(holder.shown, default=str)
        for one in recorder.registered.values():
            if one is not holder:
                assert KEY not in json.dumps(one.inputs, default=str), one.urn
        assert KEY not in json.dumps(outputs, default=str)

    def test_the_target_makes_no_key_of_its_own(self):
        assert keys()[1]["generated"] is None


class TestParameter:
    def test_it_is_all_there_is(self):
        recorder, outputs = keys()
        (made,) = [one for one in recorder.registered.values() if one.custom]
        assert outputs["reference"] == made.values["secretParameterName"]
        assert (outputs["kind"], outputs["key_arn"]) == ("parameter", None)

    def test_the_key_that_the_service_chose_is_no_reason_to_make_it_anew(self):
        assert keys()[0].of_type(":SecretParameter").ignore_changes == ("keyId", "dkmsInstanceId")


class TestKms:
    def test_the_secret_is_encrypted_by_a_key_of_the_stack_in_the_stacks_instance(self):
        recorder, outputs = keys(secrets=KMS)
        key, secret = recorder.of_type(":Key"), recorder.of_type("kms/secret:Secret")
        assert key.values["dkmsInstanceId"] == secret.values["dkmsInstanceId"] == KMS["kmsInstance"]
        assert key.urn in secret.depends_on
        assert outputs["reference"] == secret.values["secretName"]
        assert outputs["kind"] == "kms"
        assert outputs["key_arn"].startswith("acs:kms:")

    def test_its_version_moves_with_a_key_and_says_nothing_of_it(self):
        first = keys(secrets=KMS)[0].of_type("kms/secret:Secret")
        same = keys(secrets=KMS)[0].of_type("kms/secret:Secret")
        other = keys(secrets=KMS, apiKeys={"studio": KEY[:-1] + "x"})[0].of_type("kms/secret:Secret")
        assert first.values["versionId"] == same.values["versionId"] != other.values["versionId"]
        assert "versionId" in first.secret_inputs

    @pytest.mark.parametrize(("protect", "days"), [(True, 30), (False, None)])
    def test_a_deleted_secret_comes_back_in_production_only(self, protect, days):
        secret = keys(secrets=KMS, protect=protect)[0].of_type("kms/secret:Secret")
        assert secret.values.get("recoveryWindowInDays") == days
        assert secret.values["forceDeleteWithoutRecovery"] is not protect
        assert secret.protect is protect
