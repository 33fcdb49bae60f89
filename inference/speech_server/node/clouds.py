"""Whether the clock and the machine's role are good enough for the store's signatures: asked, then judged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from speech_server.node.preflight import Problem
from speech_server.storage.alibaba_credentials import METADATA as ALIBABA_METADATA
from speech_server.storage.store_url import StoreUrl, parse_store_url

# Signatures are refused beyond it: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html, and
# RequestTimeTooSkewed in https://www.alibabacloud.com/help/en/oss/support/0002-00000504
SKEW = timedelta(minutes=15)
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
AWS_METADATA = "http://169.254.169.254"
_SECONDS = 3.0
# Each means that the SDK takes its credentials from elsewhere than the instance.
_AWS_SOURCES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True)
class Cloud:
    """`store`: the host that was asked for the time, and `store_time` its answer at `now`, or why there is none.
    `role`: whether the instance has one; None: it is not asked for. `metadata_problem`: why nobody could tell.
    """

    store: str
    now: datetime
    store_time: datetime | None = None
    store_problem: str = ""
    role: bool | None = None
    metadata_problem: str = ""


def cloud_facts(
    store: str, environment: Mapping[str, str] = os.environ, alibaba_metadata: str = ALIBABA_METADATA
) -> Cloud | None:
    """None for a store that is no cloud's. May block for some seconds. Raises ValueError for a URL that is none."""
    url = parse_store_url(store)
    if url.scheme == "file":
        return None
    address = _address(url)
    host = httpx.URL(address).host
    role, metadata_problem = _role(url.scheme, environment, alibaba_metadata)
    try:
        # Nothing is asked for: that the store answers at all has its time in it.
        answer = httpx.head(address, timeout=_SECONDS)
        told = parsedate_to_datetime(answer.headers["Date"])
    except (httpx.HTTPError, KeyError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"[:200]
        return Cloud(host, datetime.now(timezone.utc), None, problem, role, metadata_problem)
    return Cloud(host, datetime.now(timezone.utc), told, "", role, metadata_problem)


def problems(cloud: Cloud) -> list[Problem]:
    """What would have the store refuse this server, or keep it from asking."""
    found = []
    if cloud.metadata_problem:
        found.append(
            Problem(
                f"the instance's metadata service does not answer ({cloud.metadata_problem})",
                "allow it for this machine; from a container it needs a hop limit of 2 (AWS: "
                "http_put_response_hop_limit), and no firewall rule before its address",
            )
        )
    elif cloud.role is False:
        found.append(Problem("the instance has no role", "give it the stack's role, or set the cloud's access keys"))
    if cloud.store_time is None:
        found.append(
            Problem(
                f"{cloud.store} does not answer ({cloud.store_problem})",
                "check this machine's route, DNS and security group to the store, and the region in SPEECH_STORE",
            )
        )
    elif abs(cloud.now - cloud.store_time) > SKEW:
        minutes = (cloud.now - cloud.store_time).total_seconds() / 60
        found.append(
            Problem(
                f"this machine's clock is {abs(minutes):.0f} minutes {'ahead of' if minutes > 0 else 'behind'} "
                f"{cloud.store}, which refuses signatures that are off by more than 15",
                "start the machine's time service (chronyc tracking; timedatectl set-ntp true)",
            )
        )
    return found


def _address(url: StoreUrl) -> str:
    region = url.parameters["region"]
    if url.parameters.get("endpoint"):
        return url.parameters["endpoint"]
    if url.scheme == "s3":
        return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    return f"https://oss-{region}{'-internal' if url.parameters.get('internal') == 'true' else ''}.aliyuncs.com"


def _role(scheme: str, environment: Mapping[str, str], alibaba_metadata: str) -> tuple[bool | None, str]:
    if scheme == "oss":
        if environment.get("ALIBABA_CLOUD_ACCESS_KEY_ID"):
            return None, ""
        token = "/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds", "X-aliyun-ecs-metadata-token"
        return _asked(alibaba_metadata, *token, "/latest/meta-data/ram/security-credentials/")
    if any(environment.get(name) for name in _AWS_SOURCES) or _has_aws_file(environment):
        return None, ""
    root = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or AWS_METADATA
    token = "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"
    return _asked(root, *token, "/latest/meta-data/iam/security-credentials/")


def _has_aws_file(environment: Mapping[str, str]) -> bool:
    home = Path(environment.get("HOME", "/"))
    return Path(environment.get("AWS_SHARED_CREDENTIALS_FILE", home / ".aws/credentials")).is_file()


def _asked(root: str, token_path: str, ttl_header: str, token_header: str, roles: str) -> tuple[bool | None, str]:
    try:
        # No proxy from the environment: it would be given the instance's token.
        with httpx.Client(base_url=root, timeout=_SECONDS, trust_env=False) as client:
            token = client.put(token_path, headers={ttl_header: "60"}).raise_for_status().text
            found = client.get(roles, headers={token_header: token})
    except httpx.HTTPStatusError as error:
        return None, f"answers {error.response.status_code} to the token"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return None, type(error).__name__
    return found.status_code == 200 and bool(found.text.strip()), ""
