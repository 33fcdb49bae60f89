"""Invented ids and outputs of Alibaba Cloud's resources, for `tests/invented.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.sdk_schema import Schema

ACCOUNT = "1234567890123456"

# Resources whose id is such a prefix and a hash. Elsewhere the id is the name.
ID_PREFIXES = {
    "alicloud:vpc/network:Network": "vpc",
    "alicloud:vpc/switch:Switch": "vsw",
    "alicloud:vpc/natGateway:NatGateway": "ngw",
    "alicloud:vpc/routeTable:RouteTable": "vtb",
    "alicloud:vpc/flowLog:FlowLog": "fl",
    "alicloud:ecs/eipAddress:EipAddress": "eip",
    "alicloud:ecs/securityGroup:SecurityGroup": "sg",
    "alicloud:ecs/ecsLaunchTemplate:EcsLaunchTemplate": "lt",
    "alicloud:ess/scalingGroup:ScalingGroup": "asg",
    "alicloud:ess/scalingRule:ScalingRule": "asr",
    "alicloud:ess/lifecycleHook:LifecycleHook": "ash",
    "alicloud:ess/instanceRefresh:InstanceRefresh": "ir",
    "alicloud:alb/loadBalancer:LoadBalancer": "alb",
    "alicloud:alb/serverGroup:ServerGroup": "sgp",
    "alicloud:alb/listener:Listener": "lsn",
    "alicloud:alb/acl:Acl": "acl",
    "alicloud:alb/rule:Rule": "rule",
}
# Resources whose id is a number.
NUMBERED = ("alicloud:cms/monitorGroup:MonitorGroup", "alicloud:dns/alidnsRecord:AlidnsRecord")
# The property that is the id, where the provider makes it so.
ID_PROPERTY = {
    "alicloud:oss/bucket:Bucket": "bucket",
    "alicloud:ram/role:Role": "roleName",
    "alicloud:ram/policy:Policy": "policyName",
    "alicloud:message/serviceQueue:ServiceQueue": "queueName",
    "alicloud:message/serviceTopic:ServiceTopic": "topicName",
    "alicloud:oos/secretParameter:SecretParameter": "secretParameterName",
    "alicloud:kms/secret:Secret": "secretName",
    "alicloud:log/project:Project": "projectName",
    "alicloud:cms/alarmContact:AlarmContact": "alarmContactName",
    "alicloud:cms/alarmContactGroup:AlarmContactGroup": "alarmContactGroupName",
}


def shaped(schema: Schema, name: str, inputs: Mapping[str, Any], region: str, code: str) -> dict[str, Any]:
    """Outputs that have a form; `code` is a hash of the resource."""
    _, module, kind = schema.token.split(":")
    service = module.partition("/")[0]
    arn = f"acs:{service}:{region}:{ACCOUNT}:{kind.lower()}/{name}"
    if schema.token in ("alicloud:ram/role:Role", "alicloud:ram/policy:Policy"):
        arn = f"acs:ram::{ACCOUNT}:{kind.lower()}/{name}"
    return {
        "arn": arn,
        "accountId": ACCOUNT,
        "regionId": region,
        "owner": ACCOUNT,
        "bucket": name,
        "location": f"oss-{region}",
        "extranetEndpoint": f"oss-{region}.aliyuncs.com",
        "intranetEndpoint": f"oss-{region}-internal.aliyuncs.com",
        "dnsName": f"alb-{code[:18]}.{region}.alb.aliyuncsslb.com",
        "ipAddress": f"198.51.100.{int(code[:2], 16)}",
        "snatTableIds": f"stb-{code[:17]}",
        "forwardTableIds": f"ftb-{code[:17]}",
        "latestVersionNumber": 1,
        "defaultVersionNumber": 1,
        "scalingRuleId": f"asr-{code[:17]}",
        "ari": f"ari:acs:ess:{region}:{ACCOUNT}:scalingrule/asr-{code[:17]}",
        "status": "Active",
    }


def identity(schema: Schema, name: str, inputs: Mapping[str, Any], code: str) -> str:
    prefix = ID_PREFIXES.get(schema.token)
    if prefix:
        return f"{prefix}-{code[:17]}"
    if schema.token in NUMBERED:
        return str(int(code[:8], 16))
    given = inputs.get(ID_PROPERTY.get(schema.token, ""))
    return given if isinstance(given, str) else name
