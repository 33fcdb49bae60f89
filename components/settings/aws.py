"""The settings of `target: aws`."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from components.settings import aws_instance_types
from components.settings.aws_access import AccessSettings
from components.settings.aws_regions import REGIONS
from components.settings.clients import ClientSettings
from components.settings.cloud import (
    AlarmSettings,
    CloudNetworkSettings,
    CloudSettings,
    ImageReference,
    check_image,
    check_precision,
    check_tags,
    check_weights_image,
    check_zones,
    keys_fit,
    matching,
    schedule_or_none,
    type_problems,
)
from components.settings.model import Given, Items
from components.settings.schedule import ScheduleSettings

# A secret's value: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
MAX_SECRET_BYTES = 65_536
# Tags that the program sets itself; a resource has at most 50, some of which AWS and the group add.
OWN_TAGS = ("project", "stack")
MAX_TAGS = 40
_TAG_TEXT = re.compile(r"[\w .:/=+@-]*")


SubnetId = Annotated[
    str, matching(r"subnet-[0-9a-f]{8,17}", "is no subnet's id; it looks like subnet-0123456789abcdef0")
]
VpcId = Annotated[str, matching(r"vpc-[0-9a-f]{8,17}", "is no VPC's id; it looks like vpc-0123456789abcdef0")]
AmiId = Annotated[str, matching(r"ami-[0-9a-f]{8,17}", "is no image's id; it looks like ami-0123456789abcdef0")]
AccountId = Annotated[str, matching(r"[0-9]{12}", "is no account's id; give its 12 digits")]


class NetworkSettings(CloudNetworkSettings):
    """`load_balancer_subnet_ids` must be public."""

    subnets = "subnets"

    vpc_id: Given[VpcId]
    subnet_ids: Items[SubnetId]
    load_balancer_subnet_ids: Items[SubnetId]
    flow_logs: bool

    @field_validator("flow_logs")
    @classmethod
    def _flow_logs_of_an_own_network(cls, wanted: bool, info: ValidationInfo) -> bool:
        if wanted and info.data.get("vpc_id") is not None:
            raise ValueError("is for a VPC of the stack's own; set false, and log an existing one where it is made")
        return wanted


class AwsAlarmSettings(AlarmSettings):
    """Whom alarms tell, after how many minutes a GPU is idle, and what a month may cost (0: no budget)."""

    monthly_budget_usd: int = Field(ge=0, le=10_000_000)

    @field_validator("monthly_budget_usd")
    @classmethod
    def _a_budget_tells_somebody(cls, value: int, info: ValidationInfo) -> int:
        if value and info.data.get("email", "") is None:
            raise ValueError("has nobody to tell; give alarms.email, or 0 for no budget")
        return value


class AwsSettings(CloudSettings):
    """A service on GPU instances of EC2.

    `zones` and `ami` may be left open in the stack's file. `survey` (components/aws/survey.py) fills them in from what
    the account offers before any part is made, so that a part always finds `zones` with two entries or more, `ami` not
    None and `access.hosted_zone` an id. Where `checks` is off nothing is looked up, and the file must give them.
    """

    target: Literal["aws"]
    account_id: Given[AccountId]
    schedule: Annotated[ScheduleSettings | None, BeforeValidator(schedule_or_none)]
    image: Given[ImageReference]
    ami: Given[AmiId]
    access: AccessSettings
    network: NetworkSettings
    alarms: AwsAlarmSettings

    @field_validator("region")
    @classmethod
    def _region_exists(cls, name: str) -> str:
        if name in REGIONS:
            return name
        close = difflib.get_close_matches(name, REGIONS, n=1)
        raise ValueError(f"is no region; {f'did you mean {close[0]}?' if close else 'use one like us-west-2'}")

    @field_validator("clients")
    @classmethod
    def _keys_fit_a_secret(cls, clients: dict[str, ClientSettings], info: ValidationInfo) -> dict[str, ClientSettings]:
        keys_fit(info.data.get("api_keys", {}), clients, MAX_SECRET_BYTES)
        return clients

    @field_validator("zones")
    @classmethod
    def _zones_are_of_the_region(cls, zones: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        region = info.data.get("region")
        if not zones:
            if info.data.get("checks") is False:
                raise ValueError(
                    "is empty, and with checks off nothing is looked up; give two zones or more, or set checks to true"
                )
            return zones
        foreign = [zone for zone in zones if region and not re.fullmatch(re.escape(region) + "[a-h]", zone)]
        if foreign:
            raise ValueError(f"{', '.join(foreign)} is no zone of {region}; its zones are {region}a, {region}b, ...")
        check_zones(zones)
        return zones

    @field_validator("instance_types")
    @classmethod
    def _types_can_be_nodes(cls, types: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        problems = type_problems(types, aws_instance_types.problem, "g4dn.xlarge")
        if problems:
            raise ValueError("; ".join(problems))
        check_precision(info.data.get("engine"), types, aws_instance_types.gpu)
        return types

    @field_validator("image")
    @classmethod
    def _it_has_the_engine(cls, image: str | None, info: ValidationInfo) -> str | None:
        check_image(info.data.get("engine"), image)
        check_weights_image(info.data.get("weights"), image)
        return image

    @field_validator("ami")
    @classmethod
    def _ami_is_known(cls, ami: str | None, info: ValidationInfo) -> str | None:
        if ami is None and info.data.get("checks") is False:
            raise ValueError(
                "is empty, and with checks off nothing is looked up; give a GPU image's id, or set checks to true"
            )
        return ami

    @field_validator("access")
    @classmethod
    def _access_fits(cls, access: AccessSettings, info: ValidationInfo) -> AccessSettings:
        region = info.data.get("region")
        if region and access.certificate_region not in (None, region):
            raise ValueError(
                f"access.certificate is of {access.certificate_region}, and the load balancer in {region} can use only "
                "one of its own region; issue it there, or give access.hostedZone instead"
            )
        if access.hosted_zone and not access.hosted_zone_is_id and info.data.get("checks") is False:
            raise ValueError("access.hostedZone must be the zone's id with checks off, when nothing is looked up")
        return access

    @field_validator("tags")
    @classmethod
    def _tags_are_possible(cls, tags: dict[str, str]) -> dict[str, str]:
        check_tags(tags, _tag_problem, MAX_TAGS)
        return tags


def _tag_problem(key: str, value: str) -> str | None:
    """https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html"""
    if key in OWN_TAGS or key.lower().startswith("aws:") or key == "Name":
        return f"{key!r} is set by the program or by AWS; use another name"
    if not (1 <= len(key) <= 128 and _TAG_TEXT.fullmatch(key)):
        return f"{key!r} is no tag's name; use 1 to 128 letters, digits, spaces and . : / = + @ _ -"
    if not (len(value) <= 256 and _TAG_TEXT.fullmatch(value)):
        return f"the value of {key!r} is no tag's value; use up to 256 letters, digits, spaces and . : / = + @ _ -"
    return None
