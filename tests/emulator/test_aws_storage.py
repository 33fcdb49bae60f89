"""The bucket's configuration and the queue's, as the program decides them, given to an emulator by real calls."""

import json

import pytest
from botocore.exceptions import ClientError

from components.aws.bucket import bucket_policy
from components.aws.iam import access_log_statements
from components.aws.queue import TRIES, redrive, redrive_allow, tls_only
from components.lifecycle import LifecycleRule, lifecycle
from components.settings.cloud import CloudStorageSettings

BUCKET = "speech-objects-0123456"
ARN = f"arn:aws:s3:::{BUCKET}"


@pytest.fixture
def s3(clients):
    client = clients("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return client


class TestBucket:
    def test_its_policy_is_one(self, s3):
        wanted = bucket_policy(ARN, access_log_statements())
        s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(wanted))
        assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]) == wanted

    def test_its_lifecycle_is_one_and_covers_every_prefix_once(self, s3):
        rules = lifecycle(CloudStorageSettings(forceDestroy=False, resultDays=30, logDays=90))
        s3.put_bucket_lifecycle_configuration(
            Bucket=BUCKET, LifecycleConfiguration={"Rules": [as_aws_says_it(rule) for rule in rules]}
        )
        kept = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
        days = {rule["Filter"]["Prefix"]: rule["Expiration"].get("Days") for rule in kept}
        assert days == {"results/": 30, "jobs/": 30, "logs/": 90, "uploads/": 7, "": None}

    def test_a_voice_that_was_deleted_can_be_brought_back(self, s3):
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        first = s3.put_object(Bucket=BUCKET, Key="voices/a/sample.wav", Body=b"RIFF")["VersionId"]
        marker = s3.delete_object(Bucket=BUCKET, Key="voices/a/sample.wav")["VersionId"]
        with pytest.raises(ClientError, match="NoSuchKey"):
            s3.get_object(Bucket=BUCKET, Key="voices/a/sample.wav")
        s3.delete_object(Bucket=BUCKET, Key="voices/a/sample.wav", VersionId=marker)
        found = s3.get_object(Bucket=BUCKET, Key="voices/a/sample.wav")
        assert (found["VersionId"], found["Body"].read()) == (first, b"RIFF")

    def test_a_bucket_that_holds_objects_is_not_deleted_by_itself(self, s3):
        s3.put_object(Bucket=BUCKET, Key="results/a.wav", Body=b"RIFF")
        with pytest.raises(ClientError, match="BucketNotEmpty"):
            s3.delete_bucket(Bucket=BUCKET)


class TestQueue:
    @pytest.fixture
    def queues(self, clients):
        """The client, and the URLs of the jobs and of the dead jobs, wired as the program wires them."""
        sqs = clients("sqs")
        dead = sqs.create_queue(QueueName="speech-dead-jobs")["QueueUrl"]
        dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        jobs = sqs.create_queue(
            QueueName="speech-jobs",
            Attributes={"RedrivePolicy": json.dumps(redrive(dead_arn)), "SqsManagedSseEnabled": "true"},
        )["QueueUrl"]
        jobs_arn = sqs.get_queue_attributes(QueueUrl=jobs, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(redrive_allow(jobs_arn))})
        return sqs, jobs, dead, jobs_arn

    def test_a_job_that_nobody_finishes_becomes_a_dead_letter_after_three_tries(self, queues):
        sqs, jobs, dead, _ = queues
        sqs.send_message(QueueUrl=jobs, MessageBody="job-1")
        for _ in range(TRIES):
            (message,) = sqs.receive_message(QueueUrl=jobs, VisibilityTimeout=0, WaitTimeSeconds=0)["Messages"]
            assert message["Body"] == "job-1"
        assert "Messages" not in sqs.receive_message(QueueUrl=jobs, VisibilityTimeout=0, WaitTimeSeconds=0)
        (letter,) = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=0)["Messages"]
        assert letter["Body"] == "job-1"

    def test_a_job_that_is_given_back_is_there_for_the_next_node_at_once(self, queues):
        sqs, jobs, _, _ = queues
        sqs.send_message(QueueUrl=jobs, MessageBody="job-1")
        (taken,) = sqs.receive_message(QueueUrl=jobs, VisibilityTimeout=300, WaitTimeSeconds=0)["Messages"]
        assert "Messages" not in sqs.receive_message(QueueUrl=jobs, WaitTimeSeconds=0)
        sqs.change_message_visibility(QueueUrl=jobs, ReceiptHandle=taken["ReceiptHandle"], VisibilityTimeout=0)
        (again,) = sqs.receive_message(QueueUrl=jobs, WaitTimeSeconds=0)["Messages"]
        assert again["MessageId"] == taken["MessageId"]

    def test_its_policy_is_kept_as_it_is(self, queues):
        sqs, jobs, _, arn = queues
        wanted = tls_only("sqs:*", arn)
        sqs.set_queue_attributes(QueueUrl=jobs, Attributes={"Policy": json.dumps(wanted)})
        kept = sqs.get_queue_attributes(QueueUrl=jobs, AttributeNames=["Policy"])["Attributes"]["Policy"]
        assert json.loads(kept) == wanted


def as_aws_says_it(rule: LifecycleRule) -> dict:
    expiration = {"Days": rule.expire} if rule.expire else {"ExpiredObjectDeleteMarker": True}
    return {
        "ID": rule.id,
        "Status": "Enabled",
        "Filter": {"Prefix": rule.prefix},
        "Expiration": expiration,
        "NoncurrentVersionExpiration": {"NoncurrentDays": rule.noncurrent},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
