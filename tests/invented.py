"""Invented ids and outputs of cloud resources: in the shape of the real ones, and never one of them.

The account number is the one of the vendor's own examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tests import invented_alicloud
from tests.sdk_schema import Schema, is_list

ACCOUNT = "123456789012"

# Resources whose id is such a prefix and a hash. Elsewhere the id is the ARN, or the name.
ID_PREFIXES = {
    "aws:ec2/vpc:Vpc": "vpc",
    "aws:ec2/subnet:Subnet": "subnet",
    "aws:ec2/securityGroup:SecurityGroup": "sg",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "sg",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "sgr",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "sgr",
    "aws:ec2/internetGateway:InternetGateway": "igw",
    "aws:ec2/natGateway:NatGateway": "nat",
    "aws:ec2/eip:Eip": "eipalloc",
    "aws:ec2/routeTable:RouteTable": "rtb",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc",
    "aws:ec2/route:Route": "r",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce",
    "aws:ec2/flowLog:FlowLog": "fl",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt",
}
ID_IS_ARN = frozenset(
    {
        "aws:lb/loadBalancer:LoadBalancer",
        "aws:lb/targetGroup:TargetGroup",
        "aws:lb/listener:Listener",
        "aws:lb/listenerRule:ListenerRule",
        "aws:sns/topic:Topic",
        "aws:sns/topicSubscription:TopicSubscription",
        "aws:secretsmanager/secret:Secret",
        "aws:acm/certificate:Certificate",
        "aws:acm/certificateValidation:CertificateValidation",
        "aws:iam/policy:Policy",
    }
)


def invented(
    schema: Schema, name: str, inputs: Mapping[str, Any], region: str, tags: Mapping[str, str]
) -> tuple[str, dict]:
    """A resource's id and outputs: its inputs, and an invented value for every output that is never empty.

    `name` is what the cloud calls the resource; two names give two ids. `tags` are the provider's default tags.
    """
    code = hashlib.sha256(f"{schema.token}/{region}/{name}".encode()).hexdigest()
    package = schema.token.partition(":")[0]
    if package == "alicloud":
        shaped = invented_alicloud.shaped(schema, name, inputs, region, code)
        identity = invented_alicloud.identity(schema, name, inputs, code)
    else:
        shaped = _shaped(schema, name, inputs, region, code) | {"tagsAll": all_tags(schema, inputs, tags)}
        identity = _identity(schema, name, shaped, code)
    outputs = {
        output: shaped[output] if shaped.get(output) is not None else _of_type(known.type, f"{name}.{output}")
        for output, known in schema.outputs.items()
        if known.required
    }
    given = {key: value for key, value in inputs.items() if key in schema.outputs and not key.endswith("Wo")}
    return identity, outputs | given


def _shaped(schema: Schema, name: str, inputs: Mapping[str, Any], region: str, code: str) -> dict[str, Any]:
    """Outputs that have a form; `code` is a hash of the resource."""
    _, module, kind = schema.token.split(":")
    service = module.partition("/")[0]
    place = region if "region" in schema.inputs else ""
    arn = f"arn:aws:{service}:{place}:{ACCOUNT}:{kind.lower()}/{name}"
    if schema.token == "aws:s3/bucket:Bucket":
        arn = f"arn:aws:s3:::{name}"
    if schema.token in ("aws:sqs/queue:Queue", "aws:sns/topic:Topic"):
        arn = f"arn:aws:{service}:{region}:{ACCOUNT}:{name}"
    if service == "lb":
        arn = f"arn:aws:elasticloadbalancing:{region}:{ACCOUNT}:{kind.lower()}/app/{name}/{code[:16]}"
    queue_url = f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/{name}"
    host = f"{name}-{code[:8]}.{region}.elb.amazonaws.com"
    return {
        "arn": arn,
        "arnSuffix": arn.partition(f":{ACCOUNT}:")[2].replace("loadbalancer/", ""),
        "region": region,
        "accountId": ACCOUNT,
        "ownerId": ACCOUNT,
        "registryId": ACCOUNT,
        "url": queue_url,
        "dnsName": host,
        "zoneId": f"Z{code[:12].upper()}",
        "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
        "latestVersion": 1,
        "defaultVersion": 1,
        "uniqueId": code[:20].upper(),
        "publicIp": f"198.51.100.{int(code[:2], 16)}",
        "certificateArn": arn,
        "domainValidationOptions": _validations(inputs, code),
        "repoDigest": _pushed(inputs),
        "baseImageName": inputs.get("imageName"),
        "registryServer": str(inputs.get("imageName", "")).partition("/")[0],
    }


def _identity(schema: Schema, name: str, shaped: Mapping[str, Any], code: str) -> str:
    prefix = ID_PREFIXES.get(schema.token)
    if prefix:
        return f"{prefix}-{code[:17]}"
    if schema.token in ID_IS_ARN:
        return shaped["arn"]
    return shaped["url"] if schema.token == "aws:sqs/queue:Queue" else name


def all_tags(schema: Schema, inputs: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, str] | None:
    """A resource's own tags over the provider's; None where a provider's default tags do not go."""
    return {**tags, **inputs.get("tags", {})} if "tagsAll" in schema.outputs else None


def _validations(inputs: Mapping[str, Any], code: str) -> list[dict[str, str]]:
    domains = [inputs.get("domainName", "example.com"), *inputs.get("subjectAlternativeNames", [])]
    return [
        {
            "domainName": domain,
            "resourceRecordName": f"_{code[:8]}.{domain}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_{code[8:16]}.acm-validations.aws.",
        }
        for domain in domains
    ]


def _pushed(inputs: Mapping[str, Any]) -> str:
    """`repository@sha256:...`, which moves with what is built."""
    repository, colon, tag = str(inputs.get("imageName", "")).rpartition(":")
    digest = hashlib.sha256(repr(sorted(inputs.get("build", {}).items(), key=str)).encode()).hexdigest()
    # A colon before a slash is a port's.
    return f"{repository if colon and '/' not in tag else inputs.get('imageName')}@sha256:{digest}"


def _of_type(kind: Any, text: str) -> Any:
    if kind is str:
        return text
    if kind is bool:
        return False
    if kind in (int, float):
        return 1
    return [] if is_list(kind) else {}
