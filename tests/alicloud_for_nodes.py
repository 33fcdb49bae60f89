"""A stand-in on the loopback for what a node on Alibaba Cloud talks to: its metadata service and the APIs it calls.

It says that it is one and refuses what the real ones would: metadata without a token of its own; a call without
credentials of the role, with a signature that is not right, too old, used twice, or that leaves a header out; an action
or an argument that the API does not have; and whatever the role's policies do not allow.
"""

from __future__ import annotations

import contextlib
import fnmatch
import http.server
import json
import re
import secrets
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from tests.alicloud_signature import RefusedError, verify
from tests.listening import listening

REGION, ACCOUNT = "cn-hangzhou", "1234567890123456"
GROUP, INSTANCE = "asg-bp1test", "i-bp1oldest"
# Each action: its API's version, the arguments that it must have, and those that it may have.
ACTIONS: Mapping[str, tuple[str, str, str]] = {
    "GetSecretParameter": ("2019-06-01", "Name", "RegionId|WithDecryption|ParameterVersion"),
    "GetSecretValue": ("2016-01-20", "SecretName", "RegionId|VersionId|VersionStage"),
    "GetAuthorizationToken": ("2018-12-01", "InstanceId", "RegionId"),
    "PutCustomMetric": (
        "2019-01-01",
        r"MetricList\.1\.(GroupId|MetricName|Dimensions|Type|Values)",
        r"RegionId|MetricList\.\d+\.(GroupId|MetricName|Dimensions|Type|Values|Time|Period)",
    ),
    "DescribeScalingInstances": (
        "2014-08-28",
        "RegionId",
        r"ScalingGroupId|InstanceId\.\d+|PageNumber|PageSize|LifecycleState",
    ),
    "DescribeScalingGroups": ("2014-08-28", "RegionId", r"ScalingGroupId\.\d+|PageNumber|PageSize"),
    "DescribeScalingActivities": ("2014-08-28", "RegionId|ScalingGroupId", "StatusCode|PageNumber|PageSize"),
    "DescribeLifecycleActions": (
        "2014-08-28",
        "ScalingActivityId",
        "RegionId|LifecycleActionStatus|MaxResults|NextToken",
    ),
    "CompleteLifecycleAction": (
        "2014-08-28",
        "RegionId|LifecycleHookId|LifecycleActionToken",
        "LifecycleActionResult|ClientToken",
    ),
    "ScaleWithAdjustment": ("2014-08-28", "ScalingGroupId|AdjustmentType|AdjustmentValue", "RegionId|ClientToken"),
    "RemoveInstances": (
        "2014-08-28",
        r"RegionId|ScalingGroupId|InstanceId\.1",
        r"InstanceId\.\d+|DecreaseDesiredCapacity|RemovePolicy",
    ),
    "SetInstanceHealth": ("2014-08-28", "InstanceId|HealthStatus", "RegionId"),
}


class Cloud:
    """What is there; tests change it. `calls` are those that were allowed, with their arguments."""

    def __init__(self, policies: list[dict[str, Any]]) -> None:
        self.policies = policies
        self.role = "speech-node"
        self.credentials = {
            "AccessKeyId": "STS.test",
            "AccessKeySecret": "a secret of the role",
            "SecurityToken": "a token of the role+/=",
        }
        self.metadata: dict[str, str | None] = {"instance-id": INSTANCE}
        self.parameters: dict[str, str] = {}
        self.kms_secrets: dict[str, str] = {}
        self.registry_instances: set[str] = set()
        self.group = {"LaunchTemplateId": "lt-1", "LaunchTemplateVersion": "1", "MinSize": 1, "MaxSize": 4}
        self.desired = 1
        self.instances: list[dict[str, Any]] = [member(INSTANCE)]
        self.waits: list[dict[str, Any]] = []
        self.figures: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.refused: list[str] = []
        # Answers of a service that is not well: action to status and code.
        self.failing: dict[str, tuple[int, str]] = {}
        self.url = ""
        self.tokens: set[str] = set()
        self.nonces: set[str] = set()
        self.lock = threading.RLock()

    def wait_for(self, instance: str, hook: str = "ash-1") -> dict[str, Any]:
        """The group waits for this instance's word."""
        made = {
            "ScalingActivityId": f"asa-{len(self.waits)}",
            "LifecycleHookId": hook,
            "LifecycleActionToken": secrets.token_hex(8),
            "LifecycleActionStatus": "Pending",
            "InstanceIds": {"InstanceId": [instance]},
            "Result": None,
        }
        self.waits.append(made)
        return made

    def names(self) -> list[str]:
        """The allowed calls' names, those that only look left out."""
        return [name for name, _ in self.calls if not name.startswith("Describe")]

    # --- the APIs

    def answer(self, action: str, given: Mapping[str, str]) -> dict[str, Any]:
        if action in self.failing:
            raise RefusedError(*self.failing[action])
        own = re.sub(r"(?<!^)([A-Z])", r"_\1", action).lower()
        return getattr(self, f"_{own}")(given)

    def _get_secret_parameter(self, given):
        if given.get("WithDecryption") != "true":
            raise RefusedError(400, "MissingWithDecryption")
        value = _found(self.parameters, given["Name"], "EntityNotExists.Parameter")
        return {"Parameter": {"Name": given["Name"], "Value": value, "Type": "Secret"}}

    def _get_secret_value(self, given):
        value = _found(self.kms_secrets, given["SecretName"], "Forbidden.ResourceNotFound")
        return {"SecretName": given["SecretName"], "SecretData": value, "SecretDataType": "text"}

    def _get_authorization_token(self, given):
        if given["InstanceId"] not in self.registry_instances:
            raise RefusedError(404, "INSTANCE_NOT_EXIST")
        return {"TempUsername": "cr_temp_user", "AuthorizationToken": "a token of an hour", "IsSuccess": True}

    def _put_custom_metric(self, given):
        rows: dict[str, dict[str, str]] = {}
        for name, value in given.items():
            if name.startswith("MetricList."):
                _, number, key = name.split(".")
                rows.setdefault(number, {})[key] = value
        for row in rows.values():
            values, dimensions = json.loads(row["Values"]), json.loads(row["Dimensions"])
            if row["Type"] != "0" or set(values) != {"value"} or not re.fullmatch(r"\d{13}", row["Time"]):
                raise RefusedError(400, "ParameterInvalid")
            if not all(re.fullmatch(r"[A-Za-z0-9._/\\-]{1,64}", text) for pair in dimensions.items() for text in pair):
                raise RefusedError(400, "ParameterInvalid")
            self.figures.append({**row, "Values": values, "Dimensions": dimensions})
        return {"Code": "200", "Message": "success"}

    def _describe_scaling_instances(self, given):
        asked = [value for name, value in given.items() if name.startswith("InstanceId.")]
        if given.get("ScalingGroupId", GROUP) != GROUP or not (asked or "ScalingGroupId" in given):
            raise RefusedError(404, "InvalidScalingGroupId.NotFound")
        found = [one for one in self.instances if not asked or one["InstanceId"] in asked]
        size, page = int(given.get("PageSize", 10)), int(given.get("PageNumber", 1))
        if size > 50:
            raise RefusedError(400, "InvalidParameter")
        shown = found[(page - 1) * size : page * size]
        return {"TotalCount": len(found), "PageNumber": page, "ScalingInstances": {"ScalingInstance": shown}}

    def _describe_scaling_groups(self, given):
        if given.get("ScalingGroupId.1") != GROUP:
            return {"TotalCount": 0, "ScalingGroups": {"ScalingGroup": []}}
        own = {**self.group, "ScalingGroupId": GROUP, "TotalCapacity": len(self.instances)}
        own["DesiredCapacity"] = self.desired
        return {"TotalCount": 1, "ScalingGroups": {"ScalingGroup": [own]}}

    def _describe_scaling_activities(self, given):
        pending = [one for one in self.waits if one["LifecycleActionStatus"] == "Pending"]
        rows = [{"ScalingActivityId": one["ScalingActivityId"], "StatusCode": "InProgress"} for one in pending]
        return {"TotalCount": len(rows), "ScalingActivities": {"ScalingActivity": rows}}

    def _describe_lifecycle_actions(self, given):
        shown = [
            {key: value for key, value in one.items() if key not in ("ScalingActivityId", "Result")}
            for one in self.waits
            if one["ScalingActivityId"] == given["ScalingActivityId"]
            and one["LifecycleActionStatus"] == given.get("LifecycleActionStatus", one["LifecycleActionStatus"])
        ]
        return {"LifecycleActions": {"LifecycleAction": shown}}

    def _complete_lifecycle_action(self, given):
        for one in self.waits:
            if (one["LifecycleHookId"], one["LifecycleActionToken"], one["LifecycleActionStatus"]) == (
                given["LifecycleHookId"],
                given["LifecycleActionToken"],
                "Pending",
            ):
                one["LifecycleActionStatus"], one["Result"] = "Completed", given["LifecycleActionResult"]
                return {}
        raise RefusedError(404, "InvalidLifecycleActionToken.NotFound")

    def _scale_with_adjustment(self, given):
        if given["AdjustmentType"] != "QuantityChangeInCapacity" or given["AdjustmentValue"] != "1":
            raise RefusedError(400, "InvalidParameter")
        if len(self.instances) >= self.group["MaxSize"]:
            raise RefusedError(400, "InvalidAdjustmentValue")
        self.desired += 1
        version = self.group["LaunchTemplateVersion"]
        self.instances.append(member(f"i-new{len(self.instances)}", version=version, state="Pending"))
        return {"ScalingActivityId": "asa-new"}

    def _remove_instances(self, given):
        if len(self.instances) - 1 < self.group["MinSize"]:
            raise RefusedError(400, "IncorrectCapacity.MinSize")
        self.desired -= given.get("DecreaseDesiredCapacity") == "true"
        self._go(given["InstanceId.1"])
        return {"ScalingActivityId": "asa-gone"}

    def _set_instance_health(self, given):
        if given["HealthStatus"] != "Unhealthy":
            raise RefusedError(400, "InvalidParameter")
        self._go(given["InstanceId"])
        return {}

    def _go(self, instance):
        (found,) = [one for one in self.instances if one["InstanceId"] == instance]
        found["LifecycleState"] = "Removing:Wait"
        self.wait_for(instance, "ash-drain")

    # --- who asks, and whether they may

    def check(self, headers: Mapping[str, str], path: str, body: bytes) -> tuple[str, dict[str, str]]:
        """The action and its arguments, if the call is signed and allowed. Raises RefusedError."""
        verify(headers, path, body, self.credentials, self.nonces)
        query = urllib.parse.urlsplit(path).query
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=True)
        given = dict(pairs)
        action = headers["x-acs-action"]
        self._known(action, headers["x-acs-version"], given, len(pairs))
        self._may(action, given)
        return action, given

    def _known(self, action: str, version: str, given: Mapping[str, str], pairs: int) -> None:
        if action not in ACTIONS or version != ACTIONS[action][0]:
            raise RefusedError(404, "InvalidAction.NotFound")
        _, must, may = ACTIONS[action]
        if len(given) != pairs or any(not re.fullmatch(f"{must}|{may}", name) for name in given):
            raise RefusedError(400, "InvalidParameter")
        # `A|B` and `List.1.(A|B)` alike: as many of them as there are alternatives.
        if sum(re.fullmatch(must, name) is not None for name in given) < must.count("|") + 1:
            raise RefusedError(400, "MissingParameter")
        if given.get("RegionId") not in (REGION, None):
            raise RefusedError(400, "InvalidRegionId.NotFound")

    def _may(self, action: str, given: Mapping[str, str]) -> None:
        for right, resource in needed(action, given):
            if not any(allows(policy, right, resource) for policy in self.policies):
                raise RefusedError(403, f"Forbidden.RAM {right} {resource}")


def member(instance: str, *, version: str = "1", state: str = "InService") -> dict[str, Any]:
    """An instance as the service describes it."""
    return {
        "InstanceId": instance,
        "ScalingGroupId": GROUP,
        "LifecycleState": state,
        "HealthStatus": "Healthy",
        "LaunchTemplateId": "lt-1",
        "LaunchTemplateVersion": version,
        "CreationTime": "2026-01-01T00:00Z",
    }


def needed(action: str, given: Mapping[str, str]) -> list[tuple[str, str]]:
    """The rights that a call takes, and on what."""
    own = f"{REGION}:{ACCOUNT}"
    if action == "GetSecretParameter":
        return [
            ("oos:GetSecretParameter", f"acs:oos:{own}:secretparameter/{given['Name']}"),
            ("kms:GetSecretValue", f"acs:kms:{own}:secret/oos/{given['Name']}"),
        ]
    if action == "GetSecretValue":
        return [("kms:GetSecretValue", f"acs:kms:{own}:secret/{given['SecretName']}")]
    if action == "GetAuthorizationToken":
        return [("cr:GetAuthorizationToken", f"acs:cr:{own}:instance/{given['InstanceId']}")]
    if action == "PutCustomMetric":
        return [("cms:PutCustomMetric", "acs:cms:*:*:anything")]
    return [(f"ess:{action}", f"acs:ess:{own}:scalinggroup/{GROUP}")]


def allows(policy: Mapping[str, Any], right: str, resource: str) -> bool:
    """Whether a statement of the policy has both; conditions count as not met."""
    return any(
        one["Effect"] == "Allow"
        and "Condition" not in one
        and any(fnmatch.fnmatchcase(right, pattern) for pattern in one["Action"])
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in one["Resource"])
        for one in policy["Statement"]
    )


def _found(there: Mapping[str, str], name: str, code: str) -> str:
    if name not in there:
        raise RefusedError(404, code)
    return there[name]


def handler_of(cloud: Cloud) -> type[http.server.BaseHTTPRequestHandler]:
    """What answers for `cloud`, both as the metadata service and as the APIs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_PUT(self):
            seconds = self.headers.get("X-aliyun-ecs-metadata-token-ttl-seconds", "")
            if self.path != "/latest/api/token" or not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
                return self.tell(400, "")
            token = secrets.token_hex(16)
            cloud.tokens.add(token)
            return self.tell(200, token)

        def do_GET(self):
            if self.headers.get("X-aliyun-ecs-metadata-token") not in cloud.tokens:
                return self.tell(403, "")
            path = self.path.removeprefix("/latest/meta-data/")
            shown = dict(cloud.metadata)
            if cloud.role:
                root = "ram/security-credentials/"
                times = {"Expiration": "2099-01-01T00:00:00Z", "LastUpdated": "2026-11-22T00:00:00Z"}
                text = json.dumps({"Code": "Success", **times, **cloud.credentials})
                shown |= {root: cloud.role, f"{root}{cloud.role}": text}
            text = shown.get(path)
            return self.tell(404, "") if text is None else self.tell(200, text)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with cloud.lock:
                try:
                    action, given = cloud.check(self.headers, self.path, body)
                    answer = cloud.answer(action, given)
                    cloud.calls.append((action, given))
                except RefusedError as refused:
                    cloud.refused.append(refused.code)
                    return self.tell(refused.status, json.dumps({"Code": refused.code, "Message": "no"}))
            return self.tell(200, json.dumps(answer))

        def tell(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler


@contextlib.contextmanager
def serving(cloud: Cloud) -> Iterator[Cloud]:
    """`cloud` on a port of the loopback, at `cloud.url`."""
    with listening(handler_of(cloud)) as cloud.url:
        yield cloud
