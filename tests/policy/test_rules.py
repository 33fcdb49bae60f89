"""Every rule on plain data: what breaks it, on each cloud, and what must not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rules import buckets, budget, disks, gpus, permissions, ports, public_policies, tls
from rules.rule import UNKNOWN, Resource, ResourceRule, Stack, StackRule, is_production

PROD, DEV = "prod", "dev"


def resource(kind: str, name: str = "it", sources: dict[str, tuple[str, ...]] | None = None, **properties: Any):
    return Resource(kind, name, f"urn:{kind}:{name}", properties, sources or {})


def problems(rule: ResourceRule, found: Resource, stack: str = PROD) -> list[str]:
    return list(rule.check(found, stack))


def stack_problems(rule: StackRule, stack: str, *resources: Resource) -> list[str]:
    return [text for _, text in rule.check(Stack(stack, resources))]


def statement(**changes: Any) -> str:
    allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::clips/*", **changes}
    return json.dumps({"Statement": [allowed]})


class TestIsProduction:
    @pytest.mark.parametrize("name", ["prod", "prod-cn", "eu_prod", "Production", "studio.prod.2"])
    def test_the_word_decides(self, name: str):
        assert is_production(name)

    @pytest.mark.parametrize("name", ["dev", "product", "reproduction", "preprod", "local"])
    def test_a_part_of_a_word_does_not(self, name: str):
        assert not is_production(name)


class TestPublicBucket:
    @pytest.mark.parametrize(
        "found",
        [
            resource("aws:s3/bucketAcl:BucketAcl", acl="public-read"),
            resource("aws:s3/bucket:Bucket", acl="authenticated-read"),
            resource("alicloud:oss/bucketAcl:BucketAcl", acl="public-read-write"),
            resource("alicloud:oss/bucket:Bucket", acl="public-read"),
            resource("alicloud:oss/bucketPublicAccessBlock:BucketPublicAccessBlock", blockPublicAccess=False),
        ],
    )
    def test_an_open_one(self, found: Resource):
        assert len(problems(buckets.PUBLIC_BUCKET, found, DEV)) == 1

    def test_a_block_with_holes(self):
        block = resource(buckets._AWS_BLOCK, blockPublicAcls=True, blockPublicPolicy=UNKNOWN, ignorePublicAcls=False)
        assert [text.split()[0] for text in problems(buckets.PUBLIC_BUCKET, block)] == [
            "ignorePublicAcls",
            "restrictPublicBuckets",
        ]

    def test_private_ones(self):
        assert not problems(buckets.PUBLIC_BUCKET, resource("aws:s3/bucketAcl:BucketAcl", acl="private"))
        assert not problems(buckets.PUBLIC_BUCKET, resource("alicloud:oss/bucket:Bucket"))
        assert not problems(buckets.PUBLIC_BUCKET, resource("aws:s3/bucketAcl:BucketAcl", acl=UNKNOWN))


class TestUnguardedBucket:
    @pytest.mark.parametrize(
        ("bucket", "block"),
        [
            ("aws:s3/bucket:Bucket", buckets._AWS_BLOCK),
            ("alicloud:oss/bucket:Bucket", buckets._OSS_BLOCK),
        ],
    )
    def test_each_bucket_needs_a_block_of_its_own(self, bucket: str, block: str):
        one, other = resource(bucket, "one"), resource(bucket, "other", bucket="clips")
        guard = resource(block, "one", {"bucket": (one.urn,)}, bucket=UNKNOWN)
        assert [found.name for found, _ in buckets.unguarded_bucket(Stack(DEV, (one, other, guard)))] == ["other"]
        by_name = resource(block, "other", bucket="clips")
        assert not stack_problems(buckets.UNGUARDED_BUCKET, DEV, one, other, guard, by_name)


class TestPublicPolicy:
    @pytest.mark.parametrize(
        "changes",
        [
            {"Principal": "*"},
            {"Principal": {"AWS": "*"}},
            {"Principal": {"AWS": ["arn:aws:iam::123456789012:root", "*"]}},
            {"NotPrincipal": {"AWS": "arn:aws:iam::123456789012:root"}},
            {"Principal": "*", "Condition": {"StringEquals": {"aws:SourceArn": "*"}}},
            {"Principal": "*", "Condition": {"StringNotEquals": {"aws:SourceAccount": "123456789012"}}},
            {"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        ],
    )
    @pytest.mark.parametrize(
        ("kind", "name"),
        [("aws:s3/bucketPolicy:BucketPolicy", "policy"), ("alicloud:ram/role:Role", "assumeRolePolicyDocument")],
    )
    def test_anybody(self, kind: str, name: str, changes: dict[str, Any]):
        (problem,) = problems(public_policies.PUBLIC_POLICY, resource(kind, **{name: statement(**changes)}), DEV)
        assert "allows anybody s3:GetObject" in problem

    @pytest.mark.parametrize("text", ["{", "[]", '{"Statement": [{"Action": "x"}]}', '{"Statement": [7]}', "null"])
    def test_what_cannot_be_read_is_not_let_through(self, text: str):
        found = resource("aws:sqs/queuePolicy:QueuePolicy", policy=text)
        assert "is no policy document that can be checked" in problems(public_policies.PUBLIC_POLICY, found)[0]

    @pytest.mark.parametrize(
        "changes",
        [
            {"Principal": {"Service": "cloudwatch.amazonaws.com"}},
            {"Principal": "*", "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}},
            {"Effect": "Deny", "Principal": "*"},
            {"Principal": ["123456789012"]},
        ],
    )
    def test_somebody(self, changes: dict[str, Any]):
        found = resource("aws:sns/topicPolicy:TopicPolicy", policy=statement(**changes))
        assert not problems(public_policies.PUBLIC_POLICY, found)

    def test_an_unknown_document_waits_for_the_update(self):
        found = resource("aws:s3/bucketPolicy:BucketPolicy", policy=UNKNOWN)
        assert not problems(public_policies.PUBLIC_POLICY, found)


INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ALI_RULE = "alicloud:ecs/securityGroupRule:SecurityGroupRule"


class TestOpenPort:
    @pytest.mark.parametrize(
        "found",
        [
            resource(INGRESS, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv4="0.0.0.0/0"),
            resource(INGRESS, ipProtocol="tcp", fromPort=80, toPort=443, cidrIpv4="0.0.0.0/0"),
            resource(INGRESS, ipProtocol="tcp", fromPort=8000.0, toPort=8000.0, cidrIpv6="::/0"),
            resource(INGRESS, ipProtocol="-1", cidrIpv4="128.0.0.0/1"),
            resource("aws:ec2/securityGroupRule:SecurityGroupRule", type="ingress", protocol="tcp", fromPort=22,
                     toPort=22, cidrBlocks=["10.0.0.0/8", "0.0.0.0/0"]),
            resource("aws:ec2/securityGroup:SecurityGroup",
                     ingress=[{"protocol": "-1", "fromPort": 0, "toPort": 0, "ipv6CidrBlocks": ["::/0"]}]),
            resource(ALI_RULE, type="ingress", ipProtocol="tcp", portRange="22/22", cidrIp="0.0.0.0/0"),
            resource(ALI_RULE, type="ingress", ipProtocol="all", portRange="-1/-1", ipv6CidrIp="::/0"),
            resource(ALI_RULE, type="ingress", ipProtocol="tcp", portRange="-1/-1", cidrIp="0.0.0.0/0"),
        ],
    )  # fmt: skip
    def test_the_internet_at_another_port(self, found: Resource):
        assert len(problems(ports.OPEN_PORT, found, DEV)) == 1

    @pytest.mark.parametrize(
        "found",
        [
            resource(INGRESS, ipProtocol="tcp", fromPort=443, toPort=443, cidrIpv4="0.0.0.0/0"),
            resource(INGRESS, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv4="203.0.113.0/24"),
            resource(INGRESS, ipProtocol="tcp", fromPort=8000, toPort=8000, referencedSecurityGroupId="sg-1"),
            resource(INGRESS, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv4=UNKNOWN),
            resource(ALI_RULE, type="egress", ipProtocol="all", portRange="-1/-1", cidrIp="0.0.0.0/0"),
            resource(ALI_RULE, type="ingress", policy="drop", ipProtocol="all", portRange="-1/-1", cidrIp="0.0.0.0/0"),
            resource("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", ingress=[]),
        ],
    )
    def test_what_may_be(self, found: Resource):
        assert not problems(ports.OPEN_PORT, found)


AWS_LISTENER, ALB_LISTENER = "aws:lb/listener:Listener", "alicloud:alb/listener:Listener"
TO_HTTPS = {"type": "redirect", "redirect": {"protocol": "HTTPS", "statusCode": "HTTP_301"}}


class TestNoTls:
    @pytest.mark.parametrize(
        "found",
        [
            resource(AWS_LISTENER, protocol="HTTP", defaultActions=[{"type": "forward"}]),
            resource(AWS_LISTENER, protocol="HTTP", defaultActions=[]),
            resource(AWS_LISTENER, protocol="HTTP", defaultActions=[TO_HTTPS, {"type": "forward"}]),
            resource(AWS_LISTENER, protocol="HTTP", defaultActions=[{"type": "redirect", "redirect": {}}]),
            resource(AWS_LISTENER, protocol="HTTPS"),
            resource(AWS_LISTENER, protocol="HTTPS", sslPolicy="ELBSecurityPolicy-TLS-1-0-2015-04"),
            resource(ALB_LISTENER, listenerProtocol="HTTPS", securityPolicyId="tls_cipher_policy_1_1"),
        ],
    )
    def test_production_without_tls(self, found: Resource):
        assert len(problems(tls.NO_TLS, found)) == 1
        assert not problems(tls.NO_TLS, found, DEV)

    @pytest.mark.parametrize(
        "found",
        [
            resource(AWS_LISTENER, protocol="HTTP", defaultActions=[TO_HTTPS]),
            resource(AWS_LISTENER, protocol="HTTPS", sslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-2021-06"),
            resource(ALB_LISTENER, listenerProtocol="HTTPS", securityPolicyId="tls_cipher_policy_1_2_strict"),
            resource(AWS_LISTENER, protocol=UNKNOWN),
        ],
    )
    def test_production_with_tls(self, found: Resource):
        assert not problems(tls.NO_TLS, found)


class TestForwardWithoutTls:
    def test_a_rule_past_the_redirect(self):
        plain = resource(AWS_LISTENER, "plain", protocol="HTTP", defaultActions=[TO_HTTPS])
        safe = resource(AWS_LISTENER, "safe", protocol="HTTPS")
        past = resource(tls._AWS_RULE, "past", {"listenerArn": (plain.urn,)}, actions=[{"type": "forward"}])
        fine = resource(tls._AWS_RULE, "fine", {"listenerArn": (safe.urn,)}, actions=[{"type": "forward"}])
        ali = resource(ALB_LISTENER, "ali", listenerProtocol="HTTP")
        everything = {"type": "Path", "pathConfig": {"values": ["/*"]}}
        to_https = resource(
            tls._ALB_RULE,
            "to-https",
            {"listenerId": (ali.urn,)},
            ruleConditions=[everything],
            ruleActions=[{"type": "Redirect", "redirectConfig": {"protocol": "HTTPS"}}],
        )
        ali_past = resource(
            tls._ALB_RULE, "ali-past", {"listenerId": (ali.urn,)}, ruleActions=[{"type": "ForwardGroup"}]
        )
        stack = Stack(PROD, (plain, safe, past, fine, ali, to_https, ali_past))
        assert [found.name for found, _ in tls.forward_without_tls(stack)] == ["past", "ali-past"]
        assert not list(tls.forward_without_tls(Stack(DEV, stack.resources)))

    @pytest.mark.parametrize(
        ("conditions", "action"),
        [
            ([], {"type": "Redirect"}),
            ([{"type": "Path", "pathConfig": {"values": ["/docs/*"]}}], {"type": "Redirect"}),
            ([{"type": "Path", "pathConfig": {"values": ["/*"]}}, {"type": "Host"}], {"type": "Redirect"}),
            (
                [{"type": "Path", "pathConfig": {"values": ["/*"]}}],
                {"type": "Redirect", "redirectConfig": {"protocol": "HTTP"}},
            ),
            ([{"type": "Path", "pathConfig": {"values": ["/*"]}}], {"type": "FixedResponse"}),
        ],
    )
    def test_a_listener_of_alibaba_cloud_that_does_not_redirect_everything(
        self, conditions: list[dict[str, Any]], action: dict[str, Any]
    ):
        plain = resource(ALB_LISTENER, "plain", listenerProtocol="HTTP")
        rule = resource(
            tls._ALB_RULE, "rule", {"listenerId": (plain.urn,)}, ruleConditions=conditions, ruleActions=[action]
        )
        assert [found.name for found, _ in tls.forward_without_tls(Stack(PROD, (plain, rule)))] == ["plain"]
        assert [found.name for found, _ in tls.forward_without_tls(Stack(PROD, (plain,)))] == ["plain"]
        assert not list(tls.forward_without_tls(Stack(DEV, (plain,))))


class TestUnencryptedDisk:
    @pytest.mark.parametrize(
        "found",
        [
            resource("aws:ec2/launchTemplate:LaunchTemplate"),
            resource(
                "aws:ec2/launchTemplate:LaunchTemplate",
                blockDeviceMappings=[{"ebs": {"encrypted": "true"}}, {"deviceName": "/dev/sdb", "ebs": {}}],
            ),
            resource("aws:ec2/instance:Instance"),
            resource(
                "aws:ec2/instance:Instance",
                rootBlockDevice={"encrypted": True},
                ebsBlockDevices=[{"encrypted": False}],
            ),
            resource("aws:ebs/volume:Volume"),
            resource("alicloud:ecs/ecsLaunchTemplate:EcsLaunchTemplate", systemDisk={"encrypted": "false"}),
            resource(
                "alicloud:ecs/ecsLaunchTemplate:EcsLaunchTemplate",
                systemDisk={"encrypted": "true"},
                dataDisks=[{"size": 100}],
            ),
            resource("alicloud:ecs/instance:Instance"),
            resource("alicloud:ess/scalingConfiguration:ScalingConfiguration", systemDiskEncrypted=False),
        ],
    )
    def test_one(self, found: Resource):
        assert len(problems(disks.UNENCRYPTED_DISK, found, DEV)) == 1

    @pytest.mark.parametrize(
        "found",
        [
            resource(
                "aws:ec2/launchTemplate:LaunchTemplate",
                blockDeviceMappings=[{"ebs": {"encrypted": "true"}}, {"virtualName": "ephemeral0"}],
            ),
            resource("aws:ebs/volume:Volume", encrypted=True),
            resource("aws:ebs/volume:Volume", encrypted=UNKNOWN),
            resource("alicloud:ecs/ecsLaunchTemplate:EcsLaunchTemplate", systemDisk={"encrypted": "true"}),
            resource("aws:s3/bucket:Bucket"),
        ],
    )
    def test_none(self, found: Resource):
        assert not problems(disks.UNENCRYPTED_DISK, found)


IAM, RAM = "aws:iam/rolePolicy:RolePolicy", "alicloud:ram/policy:Policy"


class TestWildcardPermission:
    @pytest.mark.parametrize(
        "changes",
        [
            {"Action": "*"},
            {"Action": ["s3:GetObject", "s3:*"]},
            {"Action": "s3:Get*"},
            {"Action": "s3:GetObjec?"},
            {"NotAction": "iam:*"},
            {"Resource": "*"},
            {"Resource": ["arn:aws:s3:::clips/*", "*"]},
            {"Resource": "arn:aws:*"},
            {"Resource": "acs:*:*:*"},
            {"Resource": "**"},
        ],
    )
    @pytest.mark.parametrize(("kind", "name"), [(IAM, "policy"), (RAM, "policyDocument")])
    def test_one(self, kind: str, name: str, changes: dict[str, Any]):
        assert problems(permissions.WILDCARD_PERMISSION, resource(kind, **{name: statement(**changes)}), DEV)

    @pytest.mark.parametrize(
        "found",
        [
            resource(
                "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
                policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
            ),
            resource("aws:iam/role:Role", managedPolicyArns=["arn:aws:iam::aws:policy/AmazonS3FullAccess"]),
            resource("aws:iam/role:Role", inlinePolicies=[{"name": "all", "policy": statement(Action="*")}]),
            resource("alicloud:ram/rolePolicyAttachment:RolePolicyAttachment", policyName="AliyunOSSFullAccess"),
            resource(IAM, policy="{"),
        ],
    )
    def test_as_wide(self, found: Resource):
        assert len(problems(permissions.WILDCARD_PERMISSION, found)) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"Action": ["ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"], "Resource": "*"},
            {"Effect": "Deny", "Action": "*", "Resource": "*"},
        ],
    )
    def test_none(self, changes: dict[str, Any]):
        assert not problems(permissions.WILDCARD_PERMISSION, resource(IAM, policy=statement(**changes)))


AWS_GROUP, ESS_GROUP = "aws:autoscaling/group:Group", "alicloud:ess/scalingGroup:ScalingGroup"
BUDGET = "aws:budgets/budget:Budget"


class TestNoBudget:
    def test_production_needs_one_that_tells_somebody(self):
        group = resource(AWS_GROUP, minSize=1)
        mute = resource(BUDGET, notifications=[{"threshold": 80}])
        heard = resource(BUDGET, notifications=[{"subscriberEmailAddresses": ["operations@example.com"]}])
        assert "no budget" in stack_problems(budget.NO_BUDGET, PROD, group)[0]
        assert "tells nobody" in stack_problems(budget.NO_BUDGET, PROD, group, mute)[0]
        assert not stack_problems(budget.NO_BUDGET, PROD, group, heard)

    def test_where_none_is_asked_for(self):
        assert not stack_problems(budget.NO_BUDGET, DEV, resource(AWS_GROUP))
        assert not stack_problems(budget.NO_BUDGET, "prod-cn", resource(ESS_GROUP))


def linked(kind: str, link: str, group: Resource, **properties: Any) -> Resource:
    return resource(kind, "linked", {link: (group.urn,)}, **properties)


class TestGpuWithoutEnd:
    AWS_ALWAYS, AWS_FROM_NONE = resource(AWS_GROUP, minSize=1), resource(AWS_GROUP, minSize=0)
    ESS_ALWAYS, ESS_FROM_NONE = resource(ESS_GROUP, minSize=1), resource(ESS_GROUP, minSize=0)

    @pytest.mark.parametrize(
        "resources",
        [
            (AWS_ALWAYS,),
            (AWS_FROM_NONE,),
            (ESS_ALWAYS,),
            (ESS_FROM_NONE,),
            (resource("aws:ec2/instance:Instance"),),
            (resource("alicloud:ecs/instance:Instance"),),
            # a scale-in that stops at one node
            (AWS_ALWAYS, linked("aws:autoscaling/policy:Policy", "autoscalingGroupName", AWS_ALWAYS,
                                targetTrackingConfiguration={"targetValue": 0.7})),
            (AWS_FROM_NONE, linked("aws:autoscaling/policy:Policy", "autoscalingGroupName", AWS_FROM_NONE,
                                   targetTrackingConfiguration={"disableScaleIn": True})),
            # a schedule that only adds, one that is off, and one of another group
            (AWS_ALWAYS, linked("aws:autoscaling/schedule:Schedule", "autoscalingGroupName", AWS_ALWAYS, maxSize=2,
                                recurrence="0 9 * * *")),
            (ESS_ALWAYS, linked("alicloud:ess/scheduledTask:ScheduledTask", "scalingGroupId", ESS_ALWAYS, maxValue=0,
                                recurrenceType="Cron", taskEnabled=False)),
            (AWS_ALWAYS, linked("aws:autoscaling/schedule:Schedule", "autoscalingGroupName", resource(AWS_GROUP, "x"),
                                maxSize=0, recurrence="0 9 * * *")),
        ],
    )  # fmt: skip
    def test_one(self, resources: tuple[Resource, ...]):
        assert len(stack_problems(gpus.GPU_WITHOUT_END, DEV, *resources)) == 1
        assert not stack_problems(gpus.GPU_WITHOUT_END, PROD, *resources)

    @pytest.mark.parametrize(
        "resources",
        [
            (AWS_ALWAYS, linked("aws:autoscaling/schedule:Schedule", "autoscalingGroupName", AWS_ALWAYS, maxSize=0,
                                recurrence="0 19 * * *")),
            (ESS_ALWAYS, linked("alicloud:ess/scheduledTask:ScheduledTask", "scalingGroupId", ESS_ALWAYS, maxValue=0,
                                recurrenceType="Cron")),
            (AWS_FROM_NONE, linked("aws:autoscaling/policy:Policy", "autoscalingGroupName", AWS_FROM_NONE,
                                   adjustmentType="ExactCapacity", stepAdjustments=[{"scalingAdjustment": 0}])),
            (ESS_FROM_NONE, linked("alicloud:ess/scalingRule:ScalingRule", "scalingGroupId", ESS_FROM_NONE,
                                   adjustmentType="TotalCapacity", adjustmentValue=0)),
            (resource("aws:ec2/vpc:Vpc"),),
        ],
    )  # fmt: skip
    def test_none(self, resources: tuple[Resource, ...]):
        assert not stack_problems(gpus.GPU_WITHOUT_END, DEV, *resources)
