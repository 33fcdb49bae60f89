"""deploy/alicloud-deployer.json, what whoever runs `up` may do, held against what the program makes and asks.

What the provider calls for a resource is read from its source, alicloud/resource_alicloud_*.go of
https://github.com/aliyun/terraform-provider-alicloud.
"""

import datetime
import fnmatch
import json

import pytest

from components.settings import PROJECT_FILE
from tests.recorder import run_program
from tests.unit.alicloud.one_part import ACCOUNT, ENTERPRISE, as_config

POLICY = json.loads((PROJECT_FILE.parent / "deploy" / "alicloud-deployer.json").read_text(encoding="utf-8"))
# https://www.alibabacloud.com/help/en/ram/product-overview/limits
LONGEST_POLICY = 6144
# A resource whose id the cloud chooses: no policy can name it before it is there.
ANY = "acs:{service}:cn-hangzhou:{account}:x/1"
# Of each type: the actions that make, change and delete it, and its ARN; `{name}` is the property in brackets.
MADE = {
    "vpc/network:Network": (("vpc:CreateVpc", "vpc:ModifyVpcAttribute", "vpc:DeleteVpc", "vpc:TagResources"), ANY),
    "vpc/switch:Switch": (("vpc:CreateVSwitch", "vpc:ModifyVSwitchAttribute", "vpc:DeleteVSwitch"), ANY),
    "vpc/natGateway:NatGateway": (
        ("vpc:CreateNatGateway", "vpc:ModifyNatGatewayAttribute", "vpc:DeleteNatGateway"),
        ANY,
    ),
    "vpc/snatEntry:SnatEntry": (("vpc:CreateSnatEntry", "vpc:ModifySnatEntry", "vpc:DeleteSnatEntry"), ANY),
    "ecs/eipAddress:EipAddress": (
        ("vpc:AllocateEipAddress", "vpc:ModifyEipAddressAttribute", "vpc:ReleaseEipAddress"),
        "acs:vpc:cn-hangzhou:{account}:eip/1",
    ),
    "ecs/eipAssociation:EipAssociation": (
        ("vpc:AssociateEipAddress", "vpc:UnassociateEipAddress"),
        "acs:vpc:cn-hangzhou:{account}:eip/1",
    ),
    "ecs/securityGroup:SecurityGroup": (
        (
            "ecs:CreateSecurityGroup",
            "ecs:ModifySecurityGroupAttribute",
            "ecs:ModifySecurityGroupPolicy",
            "ecs:DeleteSecurityGroup",
        ),
        ANY,
    ),
    "ecs/securityGroupRule:SecurityGroupRule": (
        (
            "ecs:AuthorizeSecurityGroup",
            "ecs:AuthorizeSecurityGroupEgress",
            "ecs:ModifySecurityGroupRule",
            "ecs:RevokeSecurityGroup",
            "ecs:RevokeSecurityGroupEgress",
        ),
        ANY,
    ),
    "ecs/ecsLaunchTemplate:EcsLaunchTemplate": (
        (
            "ecs:CreateLaunchTemplate",
            "ecs:CreateLaunchTemplateVersion",
            "ecs:ModifyLaunchTemplateDefaultVersion",
            "ecs:DeleteLaunchTemplateVersion",
            "ecs:DeleteLaunchTemplate",
        ),
        ANY,
    ),
    "oss/bucket:Bucket": (
        ("oss:PutBucket", "oss:PutBucketLifecycle", "oss:PutBucketVersioning", "oss:DeleteBucket"),
        "acs:oss:*:{account}:{name[bucket]}",
    ),
    "oss/bucketAcl:BucketAcl": (("oss:PutBucketAcl",), "acs:oss:*:{account}:{name[bucket]}"),
    "oss/bucketHttpsConfig:BucketHttpsConfig": (
        ("oss:PutBucketHttpsConfig", "oss:GetBucketHttpsConfig"),
        "acs:oss:*:{account}:{name[bucket]}",
    ),
    "oss/bucketPublicAccessBlock:BucketPublicAccessBlock": (
        ("oss:PutBucketPublicAccessBlock", "oss:DeleteBucketPublicAccessBlock"),
        "acs:oss:*:{account}:{name[bucket]}",
    ),
    "message/serviceQueue:ServiceQueue": (
        ("mns:CreateQueue", "mns:GetQueueAttributes", "mns:SetQueueAttributes", "mns:DeleteQueue"),
        "acs:mns:cn-hangzhou:{account}:/queues/{name[queueName]}",
    ),
    "message/serviceTopic:ServiceTopic": (
        ("mns:CreateTopic", "mns:GetTopicAttributes", "mns:SetTopicAttributes", "mns:DeleteTopic"),
        "acs:mns:cn-hangzhou:{account}:/topics/{name[topicName]}",
    ),
    "oos/secretParameter:SecretParameter": (
        (
            "oos:CreateSecretParameter",
            "oos:GetSecretParameter",
            "oos:UpdateSecretParameter",
            "oos:DeleteSecretParameter",
        ),
        "acs:oos:cn-hangzhou:{account}:secretparameter/{name[secretParameterName]}",
    ),
    "kms/key:Key": (
        ("kms:CreateKey", "kms:DescribeKey", "kms:ScheduleKeyDeletion"),
        "acs:kms:cn-hangzhou:{account}:key/1",
    ),
    "kms/secret:Secret": (
        ("kms:CreateSecret", "kms:DescribeSecret", "kms:GetSecretValue", "kms:PutSecretValue", "kms:DeleteSecret"),
        "acs:kms:cn-hangzhou:{account}:secret/{name[secretName]}",
    ),
    "ram/role:Role": (
        ("ram:CreateRole", "ram:GetRole", "ram:UpdateRole", "ram:DeleteRole", "ram:PassRole"),
        "acs:ram::{account}:role/{name[roleName]}",
    ),
    "ram/policy:Policy": (
        ("ram:CreatePolicy", "ram:CreatePolicyVersion", "ram:GetPolicy", "ram:DeletePolicyVersion", "ram:DeletePolicy"),
        "acs:ram::{account}:policy/{name[policyName]}",
    ),
    "ram/rolePolicyAttachment:RolePolicyAttachment": (
        ("ram:AttachPolicyToRole", "ram:DetachPolicyFromRole", "ram:ListPoliciesForRole"),
        "acs:ram::{account}:role/{name[roleName]}",
    ),
    "log/project:Project": (
        ("log:CreateProject", "log:GetProject", "log:UpdateProject", "log:DeleteProject"),
        "acs:log:cn-hangzhou:{account}:project/{name[projectName]}",
    ),
    "log/store:Store": (
        ("log:CreateLogStore", "log:UpdateLogStore", "log:DeleteLogStore"),
        "acs:log:cn-hangzhou:{account}:project/{name[projectName]}/logstore/x",
    ),
    "log/storeIndex:StoreIndex": (
        ("log:CreateIndex", "log:UpdateIndex", "log:DeleteIndex"),
        "acs:log:cn-hangzhou:{account}:project/{name[project]}/logstore/x",
    ),
    "log/machineGroup:MachineGroup": (
        ("log:CreateMachineGroup", "log:UpdateMachineGroup", "log:DeleteMachineGroup"),
        "acs:log:cn-hangzhou:{account}:project/{name[project]}/machinegroup/x",
    ),
    "log/logTailConfig:LogTailConfig": (
        ("log:CreateConfig", "log:UpdateConfig", "log:DeleteConfig"),
        "acs:log:cn-hangzhou:{account}:project/{name[project]}/logtailconfig/x",
    ),
    "log/logTailAttachment:LogTailAttachment": (
        ("log:ApplyConfigToGroup", "log:RemoveConfigFromGroup"),
        "acs:log:cn-hangzhou:{account}:project/{name[project]}/machinegroup/x",
    ),
    "log/dashboard:Dashboard": (
        ("log:CreateDashboard", "log:UpdateDashboard", "log:DeleteDashboard"),
        "acs:log:cn-hangzhou:{account}:project/{name[projectName]}/dashboard/x",
    ),
    "ess/scalingGroup:ScalingGroup": (
        (
            "ess:CreateScalingGroup",
            "ess:ModifyScalingGroup",
            "ess:EnableScalingGroup",
            "ess:DeleteScalingGroup",
            "ess:TagResources",
        ),
        ANY,
    ),
    "ess/scalingRule:ScalingRule": (
        ("ess:CreateScalingRule", "ess:ModifyScalingRule", "ess:DeleteScalingRule"),
        ANY,
    ),
    "ess/lifecycleHook:LifecycleHook": (
        ("ess:CreateLifecycleHook", "ess:ModifyLifecycleHook", "ess:DeleteLifecycleHook"),
        ANY,
    ),
    "ess/alarm:Alarm": (("ess:CreateAlarm", "ess:ModifyAlarm", "ess:EnableAlarm", "ess:DeleteAlarm"), ANY),
    "ess/scheduledTask:ScheduledTask": (
        ("ess:CreateScheduledTask", "ess:ModifyScheduledTask", "ess:DeleteScheduledTask"),
        ANY,
    ),
    "ess/albServerGroupAttachment:AlbServerGroupAttachment": (
        ("ess:AttachAlbServerGroups", "ess:DetachAlbServerGroups"),
        ANY,
    ),
    "alb/loadBalancer:LoadBalancer": (
        (
            "alb:CreateLoadBalancer",
            "alb:UpdateLoadBalancerAttribute",
            "alb:EnableLoadBalancerAccessLog",
            "alb:DisableDeletionProtection",
            "alb:DeleteLoadBalancer",
        ),
        ANY,
    ),
    "alb/listener:Listener": (
        ("alb:CreateListener", "alb:UpdateListenerAttribute", "alb:StartListener", "alb:DeleteListener"),
        ANY,
    ),
    "alb/rule:Rule": (("alb:CreateRule", "alb:UpdateRuleAttribute", "alb:DeleteRule"), ANY),
    "alb/serverGroup:ServerGroup": (
        ("alb:CreateServerGroup", "alb:UpdateServerGroupAttribute", "alb:DeleteServerGroup"),
        ANY,
    ),
    "alb/acl:Acl": (("alb:CreateAcl", "alb:UpdateAclAttribute", "alb:DeleteAcl"), ANY),
    "alb/aclEntryAttachment:AclEntryAttachment": (("alb:AddEntriesToAcl", "alb:RemoveEntriesFromAcl"), ANY),
    "alb/listenerAclAttachment:ListenerAclAttachment": (
        ("alb:AssociateAclsWithListener", "alb:DissociateAclsFromListener"),
        ANY,
    ),
    "dns/alidnsRecord:AlidnsRecord": (
        ("alidns:AddDomainRecord", "alidns:UpdateDomainRecord", "alidns:DeleteDomainRecord"),
        "acs:alidns:*:{account}:domain/{name[domainName]}",
    ),
    "cms/alarm:Alarm": (
        ("cms:PutResourceMetricRule", "cms:PutMetricRuleTargets", "cms:EnableMetricRules", "cms:DeleteMetricRules"),
        ANY,
    ),
    "cms/alarmContact:AlarmContact": (("cms:PutContact", "cms:DescribeContactList", "cms:DeleteContact"), ANY),
    "cms/alarmContactGroup:AlarmContactGroup": (
        ("cms:PutContactGroup", "cms:DescribeContactGroupList", "cms:DeleteContactGroup"),
        ANY,
    ),
    "cms/monitorGroup:MonitorGroup": (
        ("cms:CreateMonitorGroup", "cms:ModifyMonitorGroup", "cms:DescribeMonitorGroups", "cms:DeleteMonitorGroup"),
        ANY,
    ),
}
ASKED = (
    "ecs:DescribeZones",
    "ecs:DescribeAvailableResource",
    "ecs:DescribeInstanceTypes",
    "ecs:DescribeImages",
    "alb:DescribeZones",
    "vpc:DescribeVSwitches",
    "alidns:DescribeDomains",
    "cr:ListInstance",
    "cr:GetInstanceUsage",
    "cr:ListInstanceEndpoint",
    "cr:GetAuthorizationToken",
    "kms:ListKmsInstances",
    "quotas:ListProductQuotas",
)
NEXT_YEAR = (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=300)).isoformat()
# With everything that a stack can have.
STACKS = (
    {
        "image": "",
        "registry": {**ENTERPRISE, "user": "studio"},
        "registryPassword": "of-the-registry",
        "access": {
            "domain": "speech.example.cn",
            "certificate": "12345678-cn-hangzhou",
            "hostedZone": "example.cn",
            "allowedCidrs": ["203.0.113.0/24"],
        },
        "schedule": {"timeZone": "Asia/Shanghai", "up": "09:00", "down": "19:00", "until": NEXT_YEAR},
        "alarms": {"email": "operations@example.com"},
        "protect": True,
    },
    {"secrets": {"kind": "kms", "kmsInstance": "kst-hzz0123456789abcdefg"}},
)


def allowed(action, arn):
    """Whether a statement allows the action on the resource; letter case does not count, as in RAM itself."""
    return any(
        any(fnmatch.fnmatchcase(action.lower(), one.lower()) for one in statement["Action"])
        and any(fnmatch.fnmatchcase(arn, one) for one in statement["Resource"])
        for statement in POLICY["Statement"]
        if statement["Effect"] == "Allow"
    )


@pytest.fixture(scope="module", params=STACKS, ids=["everything", "KMS"])
def made(request):
    recorder, _ = run_program(
        {}, as_config(**request.param), secret_keys=("indextts2:apiKeys", "indextts2:registryPassword")
    )
    return [one for one in recorder.registered.values() if one.type.startswith("alicloud:")]


class TestWhatIsAllowed:
    def test_every_resource_can_be_made_changed_and_deleted(self, made):
        refused = set()
        for one in made:
            actions, template = MADE[one.type.removeprefix("alicloud:")]
            service = actions[0].partition(":")[0]
            arn = template.format(service=service, account=ACCOUNT, name=one.values)
            refused |= {(one.name, action, arn) for action in actions if not allowed(action, arn)}
        assert not refused

    def test_every_look_up_can_be_made(self):
        assert [action for action in ASKED if not allowed(action, "*")] == []


class TestWhatIsNot:
    def test_it_is_one_that_ram_takes(self):
        assert POLICY["Version"] == "1"
        assert len(json.dumps(POLICY, separators=(",", ":"))) <= LONGEST_POLICY
        for statement in POLICY["Statement"]:
            assert statement.keys() - {"Condition"} == {"Effect", "Action", "Resource"}

    def test_service_linked_roles_are_those_of_the_programs_services(self):
        (statement,) = [one for one in POLICY["Statement"] if "ram:CreateServiceLinkedRole" in one["Action"]]
        services = statement["Condition"]["StringEquals"]["ram:ServiceName"]
        assert {name.split(".")[-3] for name in services} == {"autoscaling", "alb", "nat"}

    @pytest.mark.parametrize(
        ("action", "arn"),
        [
            ("oss:GetObject", f"acs:oss:*:{ACCOUNT}:payroll/2026.csv"),
            ("oss:DeleteBucket", f"acs:oss:*:{ACCOUNT}:payroll"),
            ("mns:DeleteQueue", f"acs:mns:cn-hangzhou:{ACCOUNT}:/queues/orders"),
            ("oos:GetSecretParameter", f"acs:oos:cn-hangzhou:{ACCOUNT}:secretparameter/payroll"),
            ("kms:GetSecretValue", f"acs:kms:cn-hangzhou:{ACCOUNT}:secret/payroll"),
            ("ram:PassRole", f"acs:ram::{ACCOUNT}:role/administrator"),
            ("ram:AttachPolicyToRole", f"acs:ram::{ACCOUNT}:policy/AdministratorAccess"),
            ("ram:CreateUser", f"acs:ram::{ACCOUNT}:user/me"),
            ("ram:CreateAccessKey", f"acs:ram::{ACCOUNT}:user/me"),
            ("ecs:RunInstances", f"acs:ecs:cn-hangzhou:{ACCOUNT}:instance/*"),
            ("ecs:DeleteInstance", f"acs:ecs:cn-hangzhou:{ACCOUNT}:instance/i-1"),
            ("log:DeleteProject", f"acs:log:cn-hangzhou:{ACCOUNT}:project/audit"),
            ("cr:CreateInstance", "*"),
            ("bss:PayOrder", "*"),
        ],
    )
    def test_what_is_no_business_of_the_program_is_refused(self, action, arn):
        assert not allowed(action, arn)
