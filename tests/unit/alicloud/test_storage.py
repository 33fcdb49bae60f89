"""The object store on Alibaba Cloud: who can read it, what stays and what goes."""

import pulumi
import pytest

from components.alicloud.storage import ObjectStore, store_url
from components.contracts import ObjectStoreArgs
from tests.unit.alicloud.one_part import alicloud_settings, register


def store(**values):
    settings = alicloud_settings(**values)

    def make():
        made = ObjectStore("speech", ObjectStoreArgs(settings), pulumi.ResourceOptions())
        return {"bucket": made.bucket, "url": made.url}

    return register(make)


class TestPrivacy:
    def test_every_bucket_is_private_encrypted_and_tls_only(self):
        recorder, _ = store()
        buckets = {one.values["bucket"]: one.values for one in recorder.all_of_type(":Bucket")}
        assert len(buckets) == 2
        for values in buckets.values():
            assert values["serverSideEncryptionRule"] == {"sseAlgorithm": "AES256"}
            assert "versioning" not in values  # with it, OSS would overwrite what must be written once
        for kind, wanted in (
            (":BucketAcl", {"acl": "private"}),
            (":BucketPublicAccessBlock", {"blockPublicAccess": True}),
            (":BucketHttpsConfig", {"enable": True, "tlsVersions": ["TLSv1.2", "TLSv1.3"]}),
        ):
            found = [one.values for one in recorder.all_of_type(kind)]
            assert {one["bucket"] for one in found} == buckets.keys()
            assert all(one.items() >= wanted.items() for one in found)

    def test_who_read_what_is_logged_beside_it(self):
        recorder, _ = store()
        objects, logs = recorder.named("speech-objects"), recorder.named("speech-access-logs")
        assert objects.values["logging"] == {"targetBucket": logs.values["bucket"], "targetPrefix": "objects/"}
        assert "logging" not in logs.values

    def test_browsers_may_read_by_presigned_urls_and_nothing_else(self):
        (cors,) = store()[0].named("speech-objects").values["corsRules"]
        assert cors["allowedMethods"] == ["GET", "HEAD"]
        assert "corsRules" not in store()[0].named("speech-access-logs").values


class TestLifecycle:
    def test_results_logs_and_uploads_go_and_voices_and_weights_stay(self):
        recorder, _ = store(storage={"resultDays": 7, "logDays": 14})
        values = recorder.named("speech-objects").values
        rules = {rule["prefix"]: rule for rule in values["lifecycleRules"]}
        assert rules.keys() == {"results/", "jobs/", "logs/", "uploads/", ""}
        assert rules["results/"]["expirations"] == [{"days": 7}]
        assert rules["logs/"]["expirations"] == [{"days": 14}]
        assert rules["jobs/"]["expirations"] == [{"days": 7}]
        assert "expirations" not in rules[""]
        assert all(rule["abortMultipartUploads"] == [{"days": 1}] for rule in rules.values())
        # Without it OSS refuses a rule for everything beside one for a prefix.
        assert values["lifecycleRuleAllowSameActionOverlap"] is True

    def test_access_logs_go_with_the_others(self):
        (rule,) = store(storage={"logDays": 14})[0].named("speech-access-logs").values["lifecycleRules"]
        assert rule["expirations"] == [{"days": 14}]


class TestProtection:
    @pytest.mark.parametrize("protect", [True, False])
    def test_production_keeps_the_objects(self, protect):
        bucket = store(protect=protect, storage={"forceDestroy": not protect})[0].named("speech-objects")
        assert bucket.protect is protect
        assert bucket.values["forceDestroy"] is not protect


class TestUrl:
    def test_nodes_go_by_the_endpoint_inside_the_cloud(self):
        _, outputs = store()
        assert outputs["url"] == f"oss://{outputs['bucket']}?region=cn-hangzhou&internal=true"
        assert store_url("b", "us-west-1") == "oss://b?region=us-west-1&internal=true"
