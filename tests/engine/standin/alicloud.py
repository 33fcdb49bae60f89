"""What the stand-in knows of Alibaba Cloud's resources; what replaces them stands in tests/alicloud_rules.json."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.alicloud_rules import RULES, replacing, rule_problems
from tests.engine.standin.vendor import Vendor
from tests.sdk_schema import Schema

# Of the whole account, whatever the provider's region.
HOMELESS = ("alicloud:ram/", "alicloud:dns/", "alicloud:cms/alarmContact")
UNIQUE: Mapping[str, tuple[str, ...]] = {
    f"alicloud:{token}": tuple(names.split())
    for token, names in {
        "alb/acl:Acl": "aclName",
        "alb/aclEntryAttachment:AclEntryAttachment": "aclId entry",
        "alb/healthCheckTemplate:HealthCheckTemplate": "healthCheckTemplateName",
        "alb/listener:Listener": "loadBalancerId listenerPort",
        "alb/listenerAclAttachment:ListenerAclAttachment": "listenerId aclId",
        "alb/loadBalancer:LoadBalancer": "loadBalancerName",
        "alb/loadBalancerAccessLogConfigAttachment:LoadBalancerAccessLogConfigAttachment": "loadBalancerId",
        "alb/rule:Rule": "listenerId priority",
        "alb/serverGroup:ServerGroup": "serverGroupName",
        "cms/alarm:Alarm": "name",
        "cms/alarmContact:AlarmContact": "alarmContactName",
        "cms/alarmContactGroup:AlarmContactGroup": "alarmContactGroupName",
        "cms/eventRule:EventRule": "ruleName",
        "cms/monitorGroup:MonitorGroup": "monitorGroupName",
        "cr/namespace:Namespace": "name",
        "cr/repo:Repo": "namespace name",
        "cs/registryEnterpriseNamespace:RegistryEnterpriseNamespace": "instanceId name",
        "cs/registryEnterpriseRepo:RegistryEnterpriseRepo": "instanceId namespace name",
        "dns/alidnsRecord:AlidnsRecord": "domainName rr type value",
        "ecs/ecsLaunchTemplate:EcsLaunchTemplate": "launchTemplateName",
        "ess/albServerGroupAttachment:AlbServerGroupAttachment": "scalingGroupId albServerGroupId port",
        "ess/alarm:Alarm": "scalingGroupId name",
        "ess/lifecycleHook:LifecycleHook": "scalingGroupId name",
        "ess/notification:Notification": "scalingGroupId notificationArn",
        "ess/scalingGroup:ScalingGroup": "scalingGroupName",
        "ess/scalingRule:ScalingRule": "scalingGroupId scalingRuleName",
        "ess/scheduledTask:ScheduledTask": "scheduledTaskName",
        "ess/serverGroupAttachment:ServerGroupAttachment": "scalingGroupId serverGroupId port",
        "kms/secret:Secret": "secretName",
        "log/alert:Alert": "projectName alertName",
        "log/dashboard:Dashboard": "projectName dashboardName",
        "log/machineGroup:MachineGroup": "project name",
        "log/project:Project": "projectName",
        "log/store:Store": "projectName logstoreName",
        "log/storeIndex:StoreIndex": "project logstore",
        "message/serviceQueue:ServiceQueue": "queueName",
        "message/serviceSubscription:ServiceSubscription": "topicName subscriptionName",
        "message/serviceTopic:ServiceTopic": "topicName",
        "oos/parameter:Parameter": "parameterName",
        "oos/secretParameter:SecretParameter": "secretParameterName",
        "oss/bucket:Bucket": "bucket",
        "oss/bucketAcl:BucketAcl": "bucket",
        "oss/bucketCors:BucketCors": "bucket",
        "oss/bucketHttpsConfig:BucketHttpsConfig": "bucket",
        "oss/bucketLogging:BucketLogging": "bucket",
        "oss/bucketPolicy:BucketPolicy": "bucket",
        "oss/bucketPublicAccessBlock:BucketPublicAccessBlock": "bucket",
        "oss/bucketServerSideEncryption:BucketServerSideEncryption": "bucket",
        "oss/bucketVersioning:BucketVersioning": "bucket",
        "ram/policy:Policy": "policyName",
        "ram/role:Role": "roleName",
        "ram/rolePolicyAttachment:RolePolicyAttachment": "roleName policyName policyType",
        "vpc/snatEntry:SnatEntry": "snatTableId sourceVswitchId sourceCidr",
        "vpc/switch:Switch": "vpcId cidrBlock",
    }.items()
}
_BUCKET = {"bucket": "alicloud:oss/bucket:Bucket"}
_PROJECT = "alicloud:log/project:Project"


def _auto_named(token: str) -> str | None:
    """The provider makes up what is called `name` and nothing else, unless `name` is deprecated for another."""
    rule = RULES[token].get("name", {})
    return None if rule.get("deprecated") else "name"


def _regional(schema: Schema) -> bool:
    return not schema.token.startswith(HOMELESS)


ALICLOUD = Vendor(
    replacing={token: replacing(token) for token in RULES},
    regional=_regional,
    unique=UNIQUE,
    # Buckets' names in the whole world.
    unique_everywhere=(*HOMELESS, "alicloud:oss/bucket:Bucket"),
    auto_named={token: _auto_named(token) for token in RULES},
    held=(
        *(f"alicloud:vpc/{name}:" for name in ("network", "switch", "natGateway")),
        *(f"alicloud:ecs/{name}:" for name in ("securityGroup", "eipAddress", "ecsLaunchTemplate")),
        *(f"alicloud:alb/{name}:" for name in ("serverGroup", "acl")),
        *(f"alicloud:ram/{name}:" for name in ("role", "policy")),
    ),
    guarded={
        "alicloud:alb/loadBalancer:LoadBalancer": ("deletionProtectionConfig.enabled", "deletion protection is on"),
        "alicloud:ess/scalingGroup:ScalingGroup": ("groupDeletionProtection", "deletion protection is on"),
    },
    moving={
        "alicloud:ecs/ecsLaunchTemplate:EcsLaunchTemplate": ("latestVersionNumber",),
    },
    reference=re.compile(r"(?:vpc|vsw|ngw|stb|vtb|eip|sg|lt|asg|asr|alb|sgp|lsn|acl)-[0-9a-z]{17,22}"),
    handles=("snatTableIds", "scalingRuleId"),
    by_name={
        **{
            token: _BUCKET
            for token in UNIQUE
            if token.startswith("alicloud:oss/bucket") and token not in _BUCKET.values()
        },
        # Every attached policy is the stack's own.
        "alicloud:ram/rolePolicyAttachment:RolePolicyAttachment": {
            "roleName": "alicloud:ram/role:Role",
            "policyName": "alicloud:ram/policy:Policy",
        },
        "alicloud:ecs/ecsLaunchTemplate:EcsLaunchTemplate": {"ramRoleName": "alicloud:ram/role:Role"},
        "alicloud:log/store:Store": {"projectName": _PROJECT},
        "alicloud:log/storeIndex:StoreIndex": {"project": _PROJECT},
        "alicloud:log/machineGroup:MachineGroup": {"project": _PROJECT},
        "alicloud:log/alert:Alert": {"projectName": _PROJECT},
        "alicloud:log/dashboard:Dashboard": {"projectName": _PROJECT},
        "alicloud:alb/loadBalancerAccessLogConfigAttachment:LoadBalancerAccessLogConfigAttachment": {
            "logProject": _PROJECT
        },
        "alicloud:message/serviceSubscription:ServiceSubscription": {
            "topicName": "alicloud:message/serviceTopic:ServiceTopic"
        },
    },
    # In terraform-provider-alicloud 1.285 these are `Optional`, not `Computed`, and set by the resource's own Read. The
    # values are what the service may well answer; servers are what the scaling group puts in (its issue 5671).
    read_back={
        "alicloud:alb/loadBalancer:LoadBalancer": {"addressAllocatedMode": "Dynamic"},
        "alicloud:alb/serverGroup:ServerGroup": {"servers": []},
        "alicloud:ecs/eipAssociation:EipAssociation": {"vpcId": "vpc-of-the-gateway", "privateIpAddress": "10.0.0.9"},
        "alicloud:ess/scalingGroup:ScalingGroup": {"balanceMode": "BalancedBestEffort"},
        "alicloud:ess/scheduledTask:ScheduledTask": {"launchTime": "2027-01-04T01:00Z"},
        "alicloud:log/store:Store": {"telemetryType": "None", "hotTtl": 30.0},
        "alicloud:log/storeIndex:StoreIndex": {"maxTextLen": 2048.0},
        "alicloud:oos/secretParameter:SecretParameter": {"keyId": "key-of-the-service"},
    },
    problems=rule_problems,
)
