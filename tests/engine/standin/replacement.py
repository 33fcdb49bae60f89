"""Which changes the real provider answers with a replacement.

From the resources' schemas in terraform-provider-aws 6 (`ForceNew: true`, and `RequiresReplace` where a resource is of
the newer framework), which pulumi-aws 7 wraps. A type that is not listed here is refused at its first change: the
stand-in does not guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.sdk_schema import Schema

REPLACING: Mapping[str, frozenset[str]] = {
    f"aws:{token}": frozenset(names.split())
    for token, names in {
        "acm/certificate:Certificate": "domainName subjectAlternativeNames validationMethod keyAlgorithm",
        "acm/certificateValidation:CertificateValidation": "certificateArn validationRecordFqdns",
        "autoscaling/attachment:Attachment": "autoscalingGroupName lbTargetGroupArn elb",
        "autoscaling/group:Group": "name namePrefix",
        "autoscaling/lifecycleHook:LifecycleHook": "autoscalingGroupName name",
        "autoscaling/notification:Notification": "topicArn",
        "autoscaling/policy:Policy": "autoscalingGroupName name",
        "autoscaling/schedule:Schedule": "autoscalingGroupName scheduledActionName",
        "budgets/budget:Budget": "accountId budgetType name namePrefix",
        "cloudwatch/dashboard:Dashboard": "dashboardName",
        "cloudwatch/eventRule:EventRule": "eventBusName name namePrefix",
        "cloudwatch/eventTarget:EventTarget": "eventBusName rule targetId",
        "cloudwatch/logGroup:LogGroup": "name namePrefix logGroupClass",
        "cloudwatch/logMetricFilter:LogMetricFilter": "logGroupName name",
        "cloudwatch/metricAlarm:MetricAlarm": "name",
        "ec2/defaultSecurityGroup:DefaultSecurityGroup": "vpcId",
        "ec2/eip:Eip": "domain address customerOwnedIpv4Pool networkBorderGroup publicIpv4Pool",
        "ec2/flowLog:FlowLog": (
            "vpcId subnetId eniId trafficType logDestination logDestinationType logFormat maxAggregationInterval "
            "iamRoleArn destinationOptions"
        ),
        "ec2/internetGateway:InternetGateway": "",
        "ec2/launchTemplate:LaunchTemplate": "name namePrefix",
        "ec2/natGateway:NatGateway": "allocationId connectivityType privateIp subnetId",
        "ec2/route:Route": "routeTableId destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId",
        "ec2/routeTable:RouteTable": "vpcId",
        "ec2/routeTableAssociation:RouteTableAssociation": "subnetId gatewayId",
        "ec2/securityGroup:SecurityGroup": "name namePrefix description vpcId",
        "ec2/subnet:Subnet": "vpcId cidrBlock availabilityZone availabilityZoneId ipv6Native outpostArn",
        "ec2/vpc:Vpc": "cidrBlock ipv4IpamPoolId ipv4NetmaskLength",
        "ec2/vpcEndpoint:VpcEndpoint": "vpcId serviceName vpcEndpointType serviceRegion",
        "ecr/lifecyclePolicy:LifecyclePolicy": "repository policy",
        "ecr/repository:Repository": "name encryptionConfigurations",
        "ecr/repositoryPolicy:RepositoryPolicy": "repository",
        "iam/instanceProfile:InstanceProfile": "name namePrefix path",
        "iam/policy:Policy": "name namePrefix path description",
        "iam/role:Role": "name namePrefix path",
        "iam/rolePolicy:RolePolicy": "name namePrefix role",
        "iam/rolePolicyAttachment:RolePolicyAttachment": "role policyArn",
        "lb/listener:Listener": "loadBalancerArn",
        "lb/listenerRule:ListenerRule": "listenerArn",
        "lb/loadBalancer:LoadBalancer": "name namePrefix internal loadBalancerType customerOwnedIpv4Pool",
        "lb/targetGroup:TargetGroup": (
            "name namePrefix port protocol protocolVersion targetType vpcId ipAddressType "
            "lambdaMultiValueHeadersEnabled"
        ),
        "route53/record:Record": "zoneId name type setIdentifier",
        "s3/bucket:Bucket": "bucket bucketPrefix objectLockEnabled",
        "s3/bucketCorsConfiguration:BucketCorsConfiguration": "bucket expectedBucketOwner",
        "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "bucket expectedBucketOwner",
        "s3/bucketOwnershipControls:BucketOwnershipControls": "bucket",
        "s3/bucketPolicy:BucketPolicy": "bucket",
        "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "bucket",
        "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
            "bucket expectedBucketOwner"
        ),
        "s3/bucketVersioning:BucketVersioning": "bucket expectedBucketOwner mfa",
        "s3/bucketLogging:BucketLogging": "bucket expectedBucketOwner",
        "secretsmanager/secret:Secret": "name namePrefix",
        "secretsmanager/secretVersion:SecretVersion": "secretId secretString secretBinary secretStringWoVersion",
        "sns/topic:Topic": "name namePrefix fifoTopic",
        "sns/topicPolicy:TopicPolicy": "arn",
        "sns/topicSubscription:TopicSubscription": "topicArn protocol endpoint",
        "sqs/queue:Queue": "name namePrefix fifoQueue",
        "sqs/queuePolicy:QueuePolicy": "queueUrl",
        "sqs/redriveAllowPolicy:RedriveAllowPolicy": "queueUrl",
        "sqs/redrivePolicy:RedrivePolicy": "queueUrl",
        "vpc/securityGroupEgressRule:SecurityGroupEgressRule": "securityGroupId",
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule": "securityGroupId",
    }.items()
} | {"docker:index/image:Image": frozenset()}


class UnlistedTypeError(Exception):
    """It is not known which changes replace this type."""


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The top-level properties that differ; what is not known yet differs.

    A write-only property never does: the provider sees a change only in its `...WoVersion`.
    """
    names = {name for name in (*old, *new) if not name.startswith("__") and not name.endswith("Wo")}
    return sorted(name for name in names if _seen(name, old.get(name)) != _seen(name, new.get(name)))


def _seen(name: str, value: Any) -> Any:
    """What of a property's value a change is seen in: not the password of a Docker registry, which always moves."""
    if name == "registry" and isinstance(value, dict):
        return {key: part for key, part in value.items() if key != "password"}
    return value


def replacing(schema: Schema, differing: Sequence[str]) -> list[str]:
    """Those of the changed properties that replace the resource. Raises UnlistedTypeError."""
    if not differing:
        return []
    if schema.token not in REPLACING:
        raise UnlistedTypeError(f"standin/replacement.py does not say which changes replace {schema.token}")
    forces = REPLACING[schema.token] | {"region"}
    return [name for name in differing if name in forces]
