"""The settings of `target: alicloud`."""

from __future__ import annotations

import datetime
import difflib
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, SecretStr, ValidationInfo, field_validator

from components.settings import alicloud_instance_types
from components.settings.alicloud_access import AccessSettings
from components.settings.alicloud_disk import LEAST_GIB_WITH_WEIGHTS, DiskSettings
from components.settings.alicloud_network import NetworkSettings
from components.settings.alicloud_regions import REGIONS
from components.settings.alicloud_registry import BuildSettings, RegistrySettings
from components.settings.cloud import (
    AlarmSettings,
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
from components.settings.model import Given, Model
from components.settings.schedule import ScheduleSettings

# An encrypted parameter's value:
# https://www.alibabacloud.com/help/en/oos/developer-reference/api-oos-2019-06-01-createsecretparameter
MAX_PARAMETER_CHARACTERS = 4096
# A secret's value: https://www.alibabacloud.com/help/en/kms/key-management-service/developer-reference/api-createsecret
MAX_KMS_BYTES = 30_720
# Tags that the program sets itself; a resource has at most 20, and what a group starts gets some of the group's own.
OWN_TAGS = ("project", "stack")
MAX_TAGS = 15

AccountId = Annotated[str, matching(r"[0-9]{15,16}", "is no account's id; give its 16 digits")]
KmsInstanceId = Annotated[
    str, matching(r"kst-[a-z0-9]{10,40}", "is no KMS instance's id; it looks like kst-hzz65f176a0ogplgq****")
]
SystemImage = Annotated[
    str,
    matching(
        r"(m-[a-z0-9]{10,30}|[a-z][A-Za-z0-9_.-]{5,120}\.vhd)", "is no image's id; it ends with .vhd or starts m-"
    ),
]


class AlicloudScheduleSettings(ScheduleSettings):
    """The hours, until the day `until`, exclusive: Auto Scaling repeats a task for a year at the most."""

    until: str

    @field_validator("until")
    @classmethod
    def _is_a_day(cls, text: str) -> str:
        if not text:
            raise ValueError("is missing: Auto Scaling repeats a task for a year at the most; give a day, 2027-06-30")
        try:
            if datetime.date.fromisoformat(text).isoformat() == text:
                return text
        except ValueError:
            pass
        raise ValueError("is no day; write it like 2027-06-30")

    @property
    def last_day(self) -> datetime.date:
        """`until` as a date."""
        return datetime.date.fromisoformat(self.until)


class SecretsSettings(Model):
    """Where the API keys are kept: an encrypted parameter of OOS, or a secret in an existing KMS instance."""

    kind: Literal["parameter", "kms"]
    kms_instance: Given[KmsInstanceId]

    @field_validator("kms_instance")
    @classmethod
    def _kms_has_an_instance(cls, value: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        if kind == "kms" and value is None:
            raise ValueError(
                "is missing: kind kms needs the id of an existing KMS instance; the program orders none, for it is a "
                "subscription; give one, or use kind parameter"
            )
        if kind == "parameter" and value is not None:
            raise ValueError("is of no use with secrets.kind parameter; set kind to kms, or remove the instance")
        return value


class AlicloudSettings(CloudSettings):
    """A service on GPU instances of ECS.

    `account_id` and `system_image` may be left open in the stack's file; `survey` (components/alicloud/survey.py) fills
    them in from the account, so that a part never finds them None. `zones` are never looked up: what is sold out
    is not listed, and a stack must not move because of that. Where `checks` is off nothing is looked up, and the file
    must give them all.
    """

    target: Literal["alicloud"]
    account_id: Given[AccountId]
    disk: DiskSettings
    schedule: Annotated[AlicloudScheduleSettings | None, BeforeValidator(schedule_or_none)]
    registry: RegistrySettings
    registry_password: Given[SecretStr]
    image: Given[ImageReference]
    build: BuildSettings
    system_image: Given[SystemImage]
    access: AccessSettings
    network: NetworkSettings
    secrets: SecretsSettings
    alarms: AlarmSettings

    @property
    def account(self) -> str:
        """The account's id, once `survey` or the stack's file has given it. Raises ValueError before."""
        if self.account_id is None:
            raise ValueError("the account is not known before the survey")
        return self.account_id

    @field_validator("region")
    @classmethod
    def _region_exists(cls, name: str) -> str:
        if name in REGIONS:
            return name
        close = difflib.get_close_matches(name, REGIONS, n=1, cutoff=0.7)
        raise ValueError(
            f"is no region of Alibaba Cloud; {f'did you mean {close[0]}?' if close else 'use one like cn-hangzhou'}"
        )

    @field_validator("account_id", "system_image")
    @classmethod
    def _is_known(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("checks") is False:
            what = "the account's id" if info.field_name == "account_id" else "a GPU image's id"
            raise ValueError(f"is empty, and with checks off nothing is looked up; give {what}, or set checks to true")
        return value

    @field_validator("zones")
    @classmethod
    def _zones_are_of_the_region(cls, zones: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        region = info.data.get("region")
        if not zones:
            if info.data.get("checks") is False:
                raise ValueError("is empty; name two zones or more in which the instance types are sold")
            return zones
        # cn-hangzhou-h and us-west-1a: of a name that ends with a number the letter follows at once.
        own = f"{region}{'' if region and region[-1].isdigit() else '-'}"
        foreign = [zone for zone in zones if region and not re.fullmatch(re.escape(own) + "[a-p]", zone)]
        if foreign:
            raise ValueError(f"{', '.join(foreign)} is no zone of {region}; its zones are {own}a, {own}b, ...")
        check_zones(zones)
        return zones

    @field_validator("instance_types")
    @classmethod
    def _types_can_be_nodes(cls, types: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        problems = type_problems(types, alicloud_instance_types.problem, "ecs.gn6i-c4g1.xlarge")
        # https://www.alibabacloud.com/help/en/auto-scaling/developer-reference/api-createscalinggroup
        if len(types) > 10:
            problems.append(f"names {len(types)} types; a scaling group takes 10 at the most")
        if problems:
            raise ValueError("; ".join(problems))
        check_precision(info.data.get("engine"), types, alicloud_instance_types.gpu)
        return types

    @field_validator("disk")
    @classmethod
    def _disk_holds_the_weights(cls, disk: DiskSettings, info: ValidationInfo) -> DiskSettings:
        engine = info.data.get("engine")
        if engine is not None and engine.version and disk.gib < LEAST_GIB_WITH_WEIGHTS:
            raise ValueError(
                f"disk.gib is {disk.gib}, and a node with engine indextts2 needs {LEAST_GIB_WITH_WEIGHTS}: 100 for the "
                "system image, the rest for the server's image and the weights; give that, or more"
            )
        return disk

    @field_validator("registry_password")
    @classmethod
    def _password_fits(cls, password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        registry = info.data.get("registry")
        if registry is None:
            return password
        if password is None and registry.user is not None:
            raise ValueError(
                f"is missing: registry.user, {registry.user}, needs it; pulumi config set --secret "
                "indextts2:registryPassword"
            )
        if password is not None and registry.user is None:
            raise ValueError("is of no use without registry.user; give the user, or remove the password")
        if password is not None and len(password.get_secret_value()) > 1024:
            raise ValueError("has more than 1024 characters, which no registry's password has")
        return password

    @field_validator("image")
    @classmethod
    def _there_is_an_image(cls, image: str | None, info: ValidationInfo) -> str | None:
        check_image(info.data.get("engine"), image)
        check_weights_image(info.data.get("weights"), image)
        registry = info.data.get("registry")
        if registry is None:
            return image
        if image is not None:
            host = registry.node_host or registry.host
            if host is not None and not image.startswith(f"{host}/"):
                raise ValueError(f"is not of the registry that nodes log in to, {host}; correct registry, or the image")
            return image
        lacking = [f"registry.{key}" for key in ("kind", "namespace", "repository") if getattr(registry, key) is None]
        if lacking:
            raise ValueError(
                f"is empty, and to build one there must be a registry for it: {', '.join(lacking)} is empty; give "
                "them, or a ready image as registry/repository@sha256:..."
            )
        return None

    @field_validator("network")
    @classmethod
    def _each_zone_has_its_subnet(cls, network: NetworkSettings, info: ValidationInfo) -> NetworkSettings:
        zones = info.data.get("zones")
        for key, ids in (
            ("subnetIds", network.subnet_ids),
            ("loadBalancerSubnetIds", network.load_balancer_subnet_ids),
        ):
            if zones and ids and len(ids) != len(zones):
                raise ValueError(
                    f"network.{key} has {len(ids)} vSwitches, and zones has {len(zones)}: {', '.join(zones)}; give one "
                    "of each zone, in the order of zones"
                )
        return network

    @field_validator("secrets")
    @classmethod
    def _keys_fit(cls, secrets: SecretsSettings, info: ValidationInfo) -> SecretsSettings:
        longest = MAX_PARAMETER_CHARACTERS if secrets.kind == "parameter" else MAX_KMS_BYTES
        keys_fit(info.data.get("api_keys", {}), info.data.get("clients", {}), longest)
        return secrets

    @field_validator("tags")
    @classmethod
    def _tags_are_possible(cls, tags: dict[str, str]) -> dict[str, str]:
        check_tags(tags, _tag_problem, MAX_TAGS)
        return tags


def _tag_problem(key: str, value: str) -> str | None:
    """https://www.alibabacloud.com/help/en/resource-management/tag/product-overview/limits"""
    if key in OWN_TAGS or key.lower().startswith(("aliyun", "acs:")):
        return f"{key!r} is set by the program or by Alibaba Cloud; use another name"
    for what, text, least in (("name", key, 1), ("value", value, 0)):
        shown = repr(key) if what == "name" else f"the value of {key!r}"
        if not (least <= len(text) <= 128 and text.isprintable() and "://" not in text):
            return f"{shown} is no tag's {what}; use {least} to 128 characters without http:// and https://"
    return None
