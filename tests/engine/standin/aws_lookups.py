"""Answers to the functions of AWS that a program calls, as an account would give them."""

from __future__ import annotations

import fnmatch
import secrets
from collections.abc import Mapping
from typing import Any

from tests.engine.standin.account import Account, RefusedError
from tests.invented import ACCOUNT

# Sold in the invented account, by zone letter, whatever the region; the metal one in no zone.
SOLD = {
    "g4dn.xlarge": "abc",
    "g4dn.2xlarge": "abc",
    "g4dn.12xlarge": "ab",
    "g5.xlarge": "abc",
    "g5.2xlarge": "ab",
    "g6.xlarge": "ab",
    "g6e.xlarge": "a",
}
ZONES = "abcd"
# vCPUs, generous; `Account.quotas` overrides them.
QUOTA = 512.0


def _filters(arguments: Mapping[str, Any]) -> dict[str, list[str]]:
    return {one["name"]: one["values"] for one in arguments.get("filters", [])}


def _offerings(_account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One row for every type in every place where it is sold."""
    by_zone = arguments.get("locationType") == "availability-zone"
    wanted = _filters(arguments)
    rows = [
        (kind, f"{region}{zone}" if by_zone else region)
        for kind, zones in SOLD.items()
        for zone in (zones if by_zone else zones[:1])
        if any(fnmatch.fnmatch(kind, pattern) for pattern in wanted.get("instance-type", ["*"]))
    ]
    rows = [row for row in rows if row[1] in wanted.get("location", [row[1]])]
    return {
        "instanceTypes": [row[0] for row in rows],
        "locations": [row[1] for row in rows],
        "locationTypes": [arguments.get("locationType", "region")] * len(rows),
        "id": region,
    }


def _zones(_account: Account, region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    names = [f"{region}{zone}" for zone in ZONES]
    ids = [f"{region[:2]}{region[3]}{region[-1]}-az{number}" for number, _ in enumerate(ZONES, 1)]
    return {"names": names, "zoneIds": ids, "id": region, "groupNames": [region]}


def _region(_account: Account, region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "region": region,
        "name": region,
        "id": region,
        "description": region,
        "endpoint": f"ec2.{region}.amazonaws.com",
    }


def _caller(account: Account, _region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "accountId": account.number,
        "arn": f"arn:aws:iam::{account.number}:user/stand-in",
        "userId": "AIDASTANDIN",
        "id": account.number,
    }


def _partition(_account: Account, _region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws", "id": "aws"}


def _quota(account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    code = arguments.get("quotaCode", "")
    return {
        "quotaCode": code,
        "quotaName": code,
        "serviceCode": arguments["serviceCode"],
        "serviceName": arguments["serviceCode"],
        "value": account.quotas.get(code, QUOTA),
        "defaultValue": 0.0,
        "adjustable": True,
        "globalQuota": False,
        "usageMetrics": [],
        "arn": f"arn:aws:servicequotas:{region}:{ACCOUNT}:{arguments['serviceCode']}/{code}",
        "id": f"{arguments['serviceCode']}/{code}",
    }


def _parameter(account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Public parameters of machine images only."""
    name = arguments["name"]
    if not name.startswith("/aws/service/"):
        raise RefusedError(f"ParameterNotFound: {name}")
    return {
        "name": name,
        "value": account.machine_image,
        "insecureValue": account.machine_image,
        "type": "String",
        "version": 1,
        "arn": f"arn:aws:ssm:{region}::parameter{name}",
        "id": name,
    }


def _ami(account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    image = (_filters(arguments).get("image-id") or [account.machine_image])[0]
    return {
        "imageId": image,
        "id": image,
        "architecture": account.architecture,
        "rootDeviceName": "/dev/sda1",
        "rootDeviceType": "ebs",
        "name": "stand-in image",
        "state": "available",
        "region": region,
        "blockDeviceMappings": [
            {"deviceName": "/dev/sda1", "ebs": {"volume_size": "75", "snapshot_id": "snap-0123456789abcdef0"}}
        ],
    }


def _instance_type(_account: Account, _region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    kind = arguments["instanceType"]
    if kind not in SOLD:
        raise RefusedError(f"InvalidInstanceType: {kind}")
    return {"instanceType": kind, "defaultVcpus": 4, "supportedArchitectures": ["x86_64"], "id": kind}


def _vpc(_account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": arguments.get("id", ""),
        "cidrBlock": "172.31.0.0/16",
        "region": region,
        "arn": "",
        "state": "available",
    }


def _subnet(_account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Their zones go round by the last digit of the id."""
    identity = arguments["id"]
    zone = f"{region}{ZONES[int(identity[-1], 16) % len(ZONES)]}"
    return {"id": identity, "vpcId": "vpc-0fedcba9876543210", "availabilityZone": zone, "cidrBlock": "172.31.0.0/20"}


def _hosted_zone(_account: Account, _region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    name = arguments.get("name", "example.com")
    return {"zoneId": arguments.get("zoneId", "Z0123456789ABCDEFGHIJ"), "name": name, "id": "Z0123456789ABCDEFGHIJ"}


def _certificate(_account: Account, region: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    domain = arguments.get("domain", "speech.example.com")
    return {
        "arn": f"arn:aws:acm:{region}:{ACCOUNT}:certificate/12345678-1234-1234-1234-123456789012",
        "domain": domain,
        "status": "ISSUED",
        "id": domain,
    }


def _registry_token(_account: Account, region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        # Another one each time, as the registry's.
        "authorizationToken": secrets.token_hex(8),
        "userName": "AWS",
        "password": secrets.token_hex(8),
        "proxyEndpoint": f"https://{ACCOUNT}.dkr.ecr.{region}.amazonaws.com",
        "expiresAt": "2000-01-01T00:00:00Z",
        "id": region,
    }


def _balancer_account(_account: Account, _region: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    # The vendor's own account of us-west-2, from its table of access-log accounts.
    return {"id": "797873946194", "arn": "arn:aws:iam::797873946194:root"}


ANSWERS = {
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _offerings,
    "aws:ec2/getInstanceType:getInstanceType": _instance_type,
    "aws:ec2/getAmi:getAmi": _ami,
    "aws:ec2/getVpc:getVpc": _vpc,
    "aws:ec2/getSubnet:getSubnet": _subnet,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getPartition:getPartition": _partition,
    "aws:servicequotas/getServiceQuota:getServiceQuota": _quota,
    "aws:ssm/getParameter:getParameter": _parameter,
    "aws:route53/getZone:getZone": _hosted_zone,
    "aws:acm/getCertificate:getCertificate": _certificate,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _registry_token,
    "aws:elb/getServiceAccount:getServiceAccount": _balancer_account,
}
