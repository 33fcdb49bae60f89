"""The object store on AWS: who can read and write it, how, and what goes by itself."""

import json

import pulumi
import pytest

from components.aws.bucket import bucket_policy
from components.aws.storage import ObjectStore
from components.contracts import ObjectStoreArgs
from components.lifecycle import lifecycle
from tests.unit.aws.one_part import aws_settings, register


def store(**values):
    settings = aws_settings(**values)

    def make():
        made = ObjectStore("speech", ObjectStoreArgs(settings), pulumi.ResourceOptions())
        return {"bucket": made.bucket, "url": made.url, "arn": made.arn}

    return register(make)


class TestAccess:
    def test_nothing_is_public(self):
        recorder, _ = store()
        values = recorder.of_type(":BucketPublicAccessBlock").values
        assert {key: values[key] for key in values if key != "bucket"} == {
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        }

    def test_the_account_owns_every_object_and_acls_are_off(self):
        recorder, _ = store()
        assert recorder.of_type(":BucketOwnershipControls").values["rule"] == {"objectOwnership": "BucketOwnerEnforced"}

    def test_objects_are_encrypted_and_versioned(self):
        recorder, _ = store()
        (rule,) = recorder.of_type(":BucketServerSideEncryptionConfiguration").values["rules"]
        assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
        assert recorder.of_type(":BucketVersioning").values["versioningConfiguration"] == {"status": "Enabled"}

    def test_the_policy_of_the_bucket_refuses_what_is_not_tls_and_allows_nothing(self):
        recorder, outputs = store()
        policy = json.loads(recorder.of_type(":BucketPolicy").values["policy"])
        assert policy == bucket_policy(outputs["arn"], [])
        assert {one["Effect"] for one in policy["Statement"]} == {"Deny"}
        assert {"Bool": {"aws:SecureTransport": "false"}} in [one["Condition"] for one in policy["Statement"]]
        for one in policy["Statement"]:
            assert (one["Principal"], one["Action"]) == ("*", "s3:*")
            assert one["Resource"] == [outputs["arn"], f"{outputs['arn']}/*"]

    def test_the_policy_waits_until_public_access_is_blocked(self):
        recorder, _ = store()
        block = recorder.of_type(":BucketPublicAccessBlock").urn
        assert block in recorder.of_type(":BucketPolicy").depends_on

    def test_a_browser_may_read_by_presigned_urls_and_not_write(self):
        recorder, _ = store()
        (rule,) = recorder.of_type(":BucketCorsConfiguration").values["corsRules"]
        assert rule["allowedMethods"] == ["GET", "HEAD"]

    def test_further_statements_are_about_this_bucket(self):
        statement = {"Effect": "Allow", "Principal": {"Service": "x"}, "Action": "s3:PutObject", "Resource": "/a/*"}
        assert bucket_policy("arn:aws:s3:::b", [statement])["Statement"][-1] == {
            **statement,
            "Resource": "arn:aws:s3:::b/a/*",
        }


class TestLifecycle:
    def test_results_and_logs_go_after_the_days_of_the_settings(self):
        rules = {rule.prefix: rule for rule in lifecycle(aws_settings(storage={"resultDays": 9, "logDays": 5}).storage)}
        assert (rules["results/"].expire, rules["jobs/"].expire, rules["logs/"].expire) == (9, 9, 5)

    def test_voices_and_weights_stay(self):
        rules = lifecycle(aws_settings().storage)
        for path in ("voices/id/sample.wav", "weights/name/file"):
            assert [rule.expire for rule in rules if path.startswith(rule.prefix) and rule.expire] == []

    def test_uploads_that_were_never_finished_are_aborted_everywhere(self):
        recorder, _ = store()
        rules = recorder.of_type(":BucketLifecycleConfiguration").values["rules"]
        assert all(rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1} for rule in rules)
        assert [rule for rule in rules if rule["filter"] == {"prefix": ""}]
        assert all(rule["status"] == "Enabled" for rule in rules)

    def test_each_rule_has_an_age_or_the_marks_of_deleted_objects_never_both(self):
        recorder, _ = store()
        for rule in recorder.of_type(":BucketLifecycleConfiguration").values["rules"]:
            assert len(rule["expiration"]) == 1, rule


class TestKeeping:
    @pytest.mark.parametrize("force", [True, False])
    def test_objects_are_deleted_with_the_stack_only_where_it_says_so(self, force):
        recorder, _ = store(storage={"forceDestroy": force})
        assert recorder.of_type(":Bucket").values["forceDestroy"] is force

    @pytest.mark.parametrize("protect", [True, False])
    def test_production_protects_the_bucket(self, protect):
        assert store(protect=protect)[0].of_type(":Bucket").protect is protect


class TestOutputs:
    def test_the_url_names_the_bucket(self):
        _, outputs = store()
        assert outputs["url"] == f"s3://{outputs['bucket']}"
