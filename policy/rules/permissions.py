"""What roles may do: named actions on named resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rules.policy_documents import UnreadableError, allowed
from rules.rule import Resource, ResourceRule

# Actions that know no resources: "*" is the only one that a policy can name with them.
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
WITHOUT_RESOURCES = frozenset(
    name.lower()
    for name in (
        "cloudwatch:PutMetricData",
        "ecr:GetAuthorizationToken",
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        # Alibaba Cloud: https://www.alibabacloud.com/help/en/cms/developer-reference/api-cms-2019-01-01-putcustommetric
        "cms:PutCustomMetric",
        "cms:PutCustomMetrics",
        "cr:GetAuthorizationToken",
    )
)
# Type -> the properties that hold a document.
_DOCUMENTS = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    "alicloud:ram/policy:Policy": "policyDocument",
}
_OLD_DOCUMENTS = {"alicloud:ram/policy:Policy": "document"}
# Ready-made policies that allow everything, or everything of a service.
_SWEEPING_ENDS = ("AdministratorAccess", "PowerUserAccess", "FullAccess")


def wildcard_permission(resource: Resource, _stack: str) -> Iterator[str]:
    """An action or a resource with a wildcard for all of them, or a ready-made policy as wide."""
    for name, document in _documents(resource):
        yield from (f"{name} {problem}" for problem in _document_problems(document))
    for policy in _attached(resource):
        if isinstance(policy, str) and policy.endswith(_SWEEPING_ENDS):
            yield f"attaches the ready-made policy {policy.rpartition('/')[2]}; name the actions that are needed"


def _document_problems(document: Any) -> Iterator[str]:
    try:
        for statement in allowed(document):
            yield from _problems(statement.actions, statement.resources)
    except UnreadableError as error:
        yield str(error)


def _problems(actions: tuple[str, ...] | None, resources: tuple[str, ...]) -> Iterator[str]:
    if actions is None:
        yield "uses NotAction, which allows all that it does not name; name what is allowed"
        return
    for action in actions:
        if "*" in action or "?" in action:
            yield f"allows {action}, a wildcard; name the actions that are needed"
    wide = [action for action in actions if action.lower() not in WITHOUT_RESOURCES]
    if wide and any(resource.strip(":*") in ("", "acs", "arn:aws", "arn") for resource in resources):
        yield f"allows {', '.join(wide)} on every resource; name the resources"


def _documents(resource: Resource) -> Iterator[tuple[str, Any]]:
    for table in (_DOCUMENTS, _OLD_DOCUMENTS):
        if resource.type in table:
            yield table[resource.type], resource.get(table[resource.type])
    if resource.type == "aws:iam/role:Role":
        for policy in resource.items("inlinePolicies"):
            yield "inlinePolicies", policy.get("policy")


def _attached(resource: Resource) -> Iterator[Any]:
    if resource.type in (
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:iam/policyAttachment:PolicyAttachment",
        "aws:iam/userPolicyAttachment:UserPolicyAttachment",
        "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    ):
        yield resource.get("policyArn")
    elif resource.type == "aws:iam/role:Role":
        yield from resource.items("managedPolicyArns")
    elif resource.type in (
        "alicloud:ram/rolePolicyAttachment:RolePolicyAttachment",
        "alicloud:ram/userPolicyAttachment:UserPolicyAttachment",
    ):
        yield resource.get("policyName")


WILDCARD_PERMISSION = ResourceRule(
    "wildcard-permission", "Roles are allowed named actions on named resources.", wildcard_permission
)
