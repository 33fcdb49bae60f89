"""What the node's role may do: every call that a node makes, on the stack's own things, and nothing else."""

import dataclasses
import fnmatch
import json
import subprocess
import sys

import pytest

from components.aws.iam import (
    NodeAccess,
    access_log_statements,
    alarm_topic_policy,
    as_json,
    node_policy,
    trust_policy,
)

ACCOUNT = "123456789012"
ACCESS = NodeAccess(
    region="us-west-2",
    fleet="indextts2-dev-us-west-2",
    bucket_arn="arn:aws:s3:::speech-objects-0123456",
    queue_arn=f"arn:aws:sqs:us-west-2:{ACCOUNT}:speech-jobs-0123456",
    dead_letter_arn=f"arn:aws:sqs:us-west-2:{ACCOUNT}:speech-dead-jobs-0123456",
    topic_arn=f"arn:aws:sns:us-west-2:{ACCOUNT}:speech-finished-0123456",
    keys_arn=f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:speech-api-keys-0123456-AbCdEf",
    log_group_arn=f"arn:aws:logs:us-west-2:{ACCOUNT}:log-group:speech-nodes-0123456",
    repository_arns=(f"arn:aws:ecr:us-west-2:{ACCOUNT}:repository/speech-0123456",),
    weights="indextts-2.5",
    may_fill=True,
)
# parliament 1.6.4 asks pkg_resources, which setuptools no longer has, for the place of its own files and nothing else.
LINTER = """
import importlib.util, json, pathlib, sys, types
def resource_filename(package, name):
    return str(pathlib.Path(importlib.util.find_spec(package).origin).with_name(name))
sys.modules["pkg_resources"] = types.SimpleNamespace(resource_filename=resource_filename)
from parliament import analyze_policy_string
found = analyze_policy_string(sys.stdin.read(), include_community_auditors=True).findings
print(json.dumps([[one.issue, str(one.detail), one.location.get("actions")] for one in found]))
"""


def lint(policy):
    """What the linter finds; a process of its own, because it leaves its own data files open."""
    done = subprocess.run(
        [sys.executable, "-c", LINTER], input=as_json(policy), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def allowed(action, resource, policy):
    """Whether a statement without a condition, or one with a condition that a caller can meet, names both."""
    return any(
        any(fnmatch.fnmatchcase(action, known) for known in statement["Action"])
        and any(fnmatch.fnmatchcase(resource, known) for known in statement["Resource"])
        for statement in policy["Statement"]
    )


class TestLinter:
    def test_it_finds_nothing_but_that_a_node_may_log_in_to_the_registry(self):
        # Whoever pulls from a private registry must ask for its password; it opens what PullImage names, no more.
        expected = [["CREDENTIALS_EXPOSURE", "", ["ecr:getauthorizationtoken"]]]
        assert [[issue, "", actions] for issue, _, actions in lint(node_policy(ACCESS))] == expected

    def test_it_finds_nothing_with_an_open_registry(self):
        assert lint(node_policy(dataclasses.replace(ACCESS, repository_arns=()))) == []

    def test_it_does_find_what_is_wrong(self):
        policy = node_policy(ACCESS)
        policy["Statement"][0]["Resource"] = ["*"]
        policy["Statement"][1]["Action"] = ["s3:GetObjekt"]
        assert {issue for issue, _, _ in lint(policy)} >= {"UNKNOWN_ACTION"}


class TestNodePolicy:
    CALLS = (
        ("secretsmanager:GetSecretValue", ACCESS.keys_arn),
        *(
            ("s3:GetObject", f"{ACCESS.bucket_arn}/{folder}/a")
            for folder in ("voices", "uploads", "results", "jobs", "audit", "usage", "weights/indextts-2.5")
        ),
        *(
            ("s3:PutObject", f"{ACCESS.bucket_arn}/{folder}/a")
            for folder in ("voices", "uploads", "results", "jobs", "audit", "usage", "logs", "weights/indextts-2.5")
        ),
        *(("s3:DeleteObject", f"{ACCESS.bucket_arn}/{folder}/a") for folder in ("voices", "uploads", "jobs")),
        ("s3:ListBucket", ACCESS.bucket_arn),
        ("sqs:ReceiveMessage", ACCESS.queue_arn),
        ("sqs:DeleteMessage", ACCESS.queue_arn),
        ("sqs:ChangeMessageVisibility", ACCESS.queue_arn),
        ("sqs:SendMessage", ACCESS.queue_arn),
        ("sqs:GetQueueAttributes", ACCESS.dead_letter_arn),
        ("sqs:ReceiveMessage", ACCESS.dead_letter_arn),
        ("sqs:DeleteMessage", ACCESS.dead_letter_arn),
        ("sns:Publish", ACCESS.topic_arn),
        ("logs:PutLogEvents", f"{ACCESS.log_group_arn}:log-stream:server/i-1"),
        ("cloudwatch:PutMetricData", "*"),
        ("ecr:BatchGetImage", ACCESS.repository_arns[0]),
        ("ecr:GetAuthorizationToken", "*"),
        (
            "autoscaling:CompleteLifecycleAction",
            f"arn:aws:autoscaling:us-west-2:{ACCOUNT}:autoScalingGroup:0-1:autoScalingGroupName/{ACCESS.fleet}",
        ),
    )
    REFUSED = (
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:another-AbCdEf"),
        ("secretsmanager:PutSecretValue", ACCESS.keys_arn),
        ("s3:GetObject", "arn:aws:s3:::another-bucket/voices/a"),
        ("s3:GetObject", f"{ACCESS.bucket_arn}/logs/a"),
        ("s3:GetObject", f"{ACCESS.bucket_arn}/weights/another/a"),
        ("s3:PutObject", f"{ACCESS.bucket_arn}/weights/another/a"),
        ("s3:DeleteObject", f"{ACCESS.bucket_arn}/weights/indextts-2.5/a"),
        ("s3:DeleteObject", f"{ACCESS.bucket_arn}/results/a"),
        ("s3:DeleteObjectVersion", f"{ACCESS.bucket_arn}/voices/a"),
        ("s3:PutBucketPolicy", ACCESS.bucket_arn),
        ("s3:PutObject", f"{ACCESS.bucket_arn}/a"),
        ("sqs:DeleteQueue", ACCESS.queue_arn),
        ("sqs:PurgeQueue", ACCESS.queue_arn),
        ("sqs:SendMessage", ACCESS.dead_letter_arn),
        ("s3:DeleteObject", f"{ACCESS.bucket_arn}/audit/a"),
        ("s3:DeleteObject", f"{ACCESS.bucket_arn}/usage/a"),
        ("sns:Publish", f"arn:aws:sns:us-west-2:{ACCOUNT}:another"),
        ("logs:DeleteLogStream", f"{ACCESS.log_group_arn}:log-stream:server/i-1"),
        ("logs:CreateLogGroup", ACCESS.log_group_arn),
        ("ecr:PutImage", ACCESS.repository_arns[0]),
        ("ssm:GetParameter", f"arn:aws:ssm:us-west-2:{ACCOUNT}:parameter/a"),
        ("ssm:StartSession", f"arn:aws:ec2:us-west-2:{ACCOUNT}:instance/i-1"),
        ("ec2:TerminateInstances", f"arn:aws:ec2:us-west-2:{ACCOUNT}:instance/i-1"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/a"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/a"),
        (
            "autoscaling:CompleteLifecycleAction",
            f"arn:aws:autoscaling:us-west-2:{ACCOUNT}:autoScalingGroup:0-1:autoScalingGroupName/another",
        ),
        (
            "autoscaling:TerminateInstanceInAutoScalingGroup",
            f"arn:aws:autoscaling:us-west-2:{ACCOUNT}:autoScalingGroup:0-1:autoScalingGroupName/{ACCESS.fleet}",
        ),
    )

    @pytest.mark.parametrize(("action", "resource"), CALLS)
    def test_a_node_may(self, action, resource):
        assert allowed(action, resource, node_policy(ACCESS))

    @pytest.mark.parametrize(("action", "resource"), REFUSED)
    def test_a_node_may_not(self, action, resource):
        assert not allowed(action, resource, node_policy(ACCESS))

    def test_no_action_is_a_pattern(self):
        actions = [action for statement in node_policy(ACCESS)["Statement"] for action in statement["Action"]]
        assert not [action for action in actions if "*" in action]

    def test_everything_is_on_named_things_where_aws_knows_any(self):
        anywhere = [one["Sid"] for one in node_policy(ACCESS)["Statement"] if "*" in one["Resource"]]
        assert sorted(anywhere) == ["LogInToRegistry", "ReportMetrics", "SessionManager"]

    def test_metrics_go_to_one_namespace(self):
        (metrics,) = [one for one in node_policy(ACCESS)["Statement"] if one["Sid"] == "ReportMetrics"]
        assert metrics["Condition"] == {"StringEquals": {"cloudwatch:namespace": "IndexTTS2"}}

    def test_a_listing_is_of_the_folders_that_may_be_read(self):
        (listing,) = [one for one in node_policy(ACCESS)["Statement"] if one["Sid"] == "ListObjects"]
        assert "logs/*" not in listing["Condition"]["StringLikeIfExists"]["s3:prefix"]
        assert "voices/*" in listing["Condition"]["StringLikeIfExists"]["s3:prefix"]

    def test_weights_that_are_there_are_never_written(self):
        policy = node_policy(dataclasses.replace(ACCESS, may_fill=False))
        assert allowed("s3:GetObject", f"{ACCESS.bucket_arn}/weights/indextts-2.5/gpt.pth", policy)
        assert not allowed("s3:PutObject", f"{ACCESS.bucket_arn}/weights/indextts-2.5/gpt.pth", policy)

    def test_an_engine_without_weights_has_nothing_to_do_with_any(self):
        assert "weights" not in as_json(node_policy(dataclasses.replace(ACCESS, weights=None, may_fill=False)))

    def test_an_open_registry_needs_no_right(self):
        policy = node_policy(dataclasses.replace(ACCESS, repository_arns=()))
        assert not [one for one in policy["Statement"] if any("ecr:" in action for action in one["Action"])]

    def test_it_fits_a_role(self):
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
        texts = {name: f"{value}{'x' * 60}" for name, value in vars(ACCESS).items() if isinstance(value, str)}
        longest = dataclasses.replace(ACCESS, **texts)
        assert len(as_json(node_policy(longest)).replace(" ", "")) < 10_240


class TestTrust:
    def test_only_the_service_takes_the_role(self):
        (statement,) = trust_policy("ec2.amazonaws.com")["Statement"]
        assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}
        assert statement["Action"] == "sts:AssumeRole"


class TestServices:
    def test_the_load_balancers_log_service_writes_below_one_folder(self):
        (statement,) = access_log_statements()
        assert statement["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
        assert (statement["Action"], statement["Resource"]) == ("s3:PutObject", "/AWSLogs/*")

    def test_alarms_of_another_account_are_not_told(self):
        arn = f"arn:aws:sns:us-west-2:{ACCOUNT}:speech-alarms"
        (statement,) = alarm_topic_policy(arn)["Statement"]
        assert statement["Resource"] == arn
        assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
