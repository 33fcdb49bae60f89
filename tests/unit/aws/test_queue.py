"""The job queue on AWS: jobs that fail, who may send, and how the server finds it."""

import json

import pulumi
import pytest

from components.aws.queue import JOB_RETENTION_SECONDS, RETENTION_SECONDS, JobQueue, queue_url, tls_only
from components.contracts import JobQueueArgs
from tests.unit.aws.one_part import aws_settings, register


def queue(**values):
    settings = aws_settings(**values)

    def make():
        made = JobQueue("speech", JobQueueArgs(settings), pulumi.ResourceOptions())
        names = ("url", "arn", "queue_name", "dead_letter_arn", "dead_letter_name", "topic_arn")
        return {name: getattr(made, name) for name in names}

    return register(make)


class TestDeadLetters:
    def test_a_job_that_failed_three_times_goes_to_the_dead_letters(self):
        recorder, outputs = queue()
        policy = json.loads(recorder.named("speech-jobs", ":Queue").values["redrivePolicy"])
        assert policy == {"deadLetterTargetArn": outputs["dead_letter_arn"], "maxReceiveCount": 3}

    def test_the_dead_letters_come_from_this_queue_alone(self):
        recorder, outputs = queue()
        allowed = json.loads(recorder.of_type(":RedriveAllowPolicy").values["redriveAllowPolicy"])
        assert allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [outputs["arn"]]}

    def test_a_job_that_dies_late_is_still_kept_for_days(self):
        assert RETENTION_SECONDS - JOB_RETENTION_SECONDS >= 7 * 24 * 3600
        recorder, _ = queue()
        assert recorder.named("speech-dead-jobs", ":Queue").values["messageRetentionSeconds"] == RETENTION_SECONDS


class TestAccess:
    def test_both_queues_and_the_topic_are_encrypted(self):
        recorder, _ = queue()
        assert [one.values["sqsManagedSseEnabled"] for one in recorder.all_of_type(":Queue")] == [True, True]
        assert recorder.of_type(":Topic").values["kmsMasterKeyId"] == "alias/aws/sns"

    def test_nothing_comes_without_tls_and_no_policy_allows_anything(self):
        recorder, outputs = queue()
        policies = [
            json.loads(one.values["policy"]) for one in recorder.all_of_type("Policy") if "policy" in one.values
        ]
        assert len(policies) == 3
        assert tls_only("sqs:*", outputs["arn"]) in policies
        assert tls_only("sqs:*", outputs["dead_letter_arn"]) in policies
        assert tls_only("sns:Publish", outputs["topic_arn"]) in policies
        assert {one["Effect"] for policy in policies for one in policy["Statement"]} == {"Deny"}

    @pytest.mark.parametrize("protect", [True, False])
    def test_production_protects_the_queues(self, protect):
        assert {one.protect for one in queue(protect=protect)[0].all_of_type(":Queue")} == {protect}


class TestUrl:
    def test_it_names_region_account_and_queue(self):
        assert queue_url("arn:aws:sqs:eu-west-1:123456789012:jobs-1") == "sqs://eu-west-1/123456789012/jobs-1"

    def test_the_part_gives_it(self):
        _, outputs = queue()
        assert outputs["url"] == queue_url(outputs["arn"])
