"""What the stand-in knows of AWS's resources.

Which changes replace a resource: from the resources' schemas in terraform-provider-aws 6 (`ForceNew: true`, and
`RequiresReplace` where a resource is of the newer framework), which pulumi-aws 7 wraps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.engine.standin.vendor import Vendor
from tests.invented import ACCOUNT
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
}


def _regional(schema: Schema) -> bool:
    return "region" in schema.inputs


AWS = Vendor(
    # A resource's own region, which is an input of every regional type.
    replacing={token: names | {"region"} for token, names in REPLACING.items()},
    regional=_regional,
    unique={
        "aws:s3/bucket:Bucket": ("bucket",),
        "aws:s3/bucketPolicy:BucketPolicy": ("bucket",),
        "aws:s3/bucketVersioning:BucketVersioning": ("bucket",),
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("bucket",),
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ("bucket",),
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("bucket",),
        "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration": ("bucket",),
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ("bucket",),
        "aws:sqs/queuePolicy:QueuePolicy": ("queueUrl",),
        "aws:sqs/redrivePolicy:RedrivePolicy": ("queueUrl",),
        "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": ("queueUrl",),
        "aws:ec2/securityGroup:SecurityGroup": ("vpcId", "name"),
        "aws:ec2/subnet:Subnet": ("vpcId", "cidrBlock"),
        "aws:ec2/route:Route": ("routeTableId", "destinationCidrBlock"),
        "aws:ec2/routeTableAssociation:RouteTableAssociation": ("subnetId",),
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ("vpcId",),
        "aws:iam/rolePolicy:RolePolicy": ("role", "name"),
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("role", "policyArn"),
        "aws:autoscaling/policy:Policy": ("autoscalingGroupName", "name"),
        "aws:autoscaling/schedule:Schedule": ("autoscalingGroupName", "scheduledActionName"),
        "aws:autoscaling/lifecycleHook:LifecycleHook": ("autoscalingGroupName", "name"),
        "aws:lb/listener:Listener": ("loadBalancerArn", "port"),
        "aws:route53/record:Record": ("zoneId", "name", "type"),
        "aws:cloudwatch/dashboard:Dashboard": ("dashboardName",),
    },
    # Buckets' names even in the whole world.
    unique_everywhere=("aws:iam/", "aws:route53/", "aws:budgets/", "aws:s3/bucket:Bucket"),
    auto_named={
        "aws:s3/bucket:Bucket": "bucket",
        # These have a name of their own kind, or none that is made up.
        "aws:route53/record:Record": None,
    },
    longest={
        "aws:lb/loadBalancer:LoadBalancer": 32,
        "aws:lb/targetGroup:TargetGroup": 32,
        "aws:s3/bucket:Bucket": 63,
        "aws:iam/role:Role": 64,
        "aws:sqs/queue:Queue": 80,
        "aws:iam/instanceProfile:InstanceProfile": 128,
        "aws:ec2/launchTemplate:LaunchTemplate": 128,
        "aws:ec2/securityGroup:SecurityGroup": 255,
        "aws:autoscaling/group:Group": 255,
    },
    held=(
        *(f"aws:ec2/{name}:" for name in ("vpc", "subnet", "securityGroup", "internetGateway", "natGateway", "eip")),
        "aws:lb/targetGroup:",
        "aws:iam/role:",
    ),
    guarded={"aws:lb/loadBalancer:LoadBalancer": ("enableDeletionProtection", "deletion protection is on")},
    moving={
        "aws:ec2/launchTemplate:LaunchTemplate": ("latestVersion",),
        "aws:secretsmanager/secretVersion:SecretVersion": ("versionId",),
    },
    # ARNs of the account itself; another account's are nobody's business here.
    reference=re.compile(
        r"(?:vpc|subnet|sg|igw|nat|eipalloc|rtb|vpce|lt)-[0-9a-f]{8,17}"
        rf"|arn:aws:[a-z0-9-]+:[a-z0-9-]*:{ACCOUNT}:.+"
    ),
    handles=("arn",),
)
