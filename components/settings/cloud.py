"""What the settings of every cloud's stacks have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from components.settings import cidr
from components.settings.base import StackSettings, StorageSettings
from components.settings.clients import ClientSettings, Keys, keys_file
from components.settings.engine import EngineSettings, WeightsSettings, weights_of
from components.settings.gpus import precision_problem
from components.settings.model import Given, Items, Model

_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def matching(pattern: str, remedy: str) -> AfterValidator:
    """A validator of texts that are wholly `pattern`."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(remedy)
        return text

    return AfterValidator(check)


ImageReference = Annotated[
    str,
    matching(
        r"[a-z0-9][a-z0-9._:/-]{0,400}@sha256:[0-9a-f]{64}",
        "is not pinned; write it as registry/repository@sha256:... with the digest's 64 hexadecimal digits",
    ),
]


def is_domain(text: str) -> bool:
    """Whether `text` is a domain name of two labels or more, in lower case."""
    return _DOMAIN.fullmatch(text) is not None


def schedule_or_none(value: Any) -> Any:
    """None for a schedule with neither `up` nor `down`."""
    return None if isinstance(value, dict) and value.get("up") == "" and value.get("down") == "" else value


def keys_fit(api_keys: Mapping[str, Keys], clients: Mapping[str, ClientSettings], longest: int) -> None:
    """Raises ValueError if what the server reads of the clients is more than the `longest` secret, bytes of JSON."""
    if len(json.dumps(keys_file(api_keys, clients))) > longest:
        raise ValueError(
            f"apiKeys and clients are more than the {longest} bytes that a secret can hold; use fewer clients"
        )


def check_zones(zones: tuple[str, ...]) -> None:
    """Raises ValueError for zones between which no load balancer can stand."""
    if len(set(zones)) < len(zones):
        raise ValueError("names a zone twice; name each once")
    if len(zones) < 2:
        raise ValueError("has one zone, and the load balancer needs two; add another")


def type_problems(types: tuple[str, ...], problem: Callable[[str], str | None], example: str) -> list[str]:
    """What is wrong with a list of instance types; `problem` says of one why it cannot be a node."""
    problems = [f"{name} {text}" for name in types if (text := problem(name))]
    if not types:
        problems.append(f"is empty; name the types in the order of preference, say {example}")
    if len(set(types)) < len(types):
        problems.append("names a type twice; name each once")
    return problems


def check_precision(engine: EngineSettings | None, types: tuple[str, ...], gpu: Callable[[str], str]) -> None:
    """Raises ValueError for types whose GPUs cannot run the engine as it is set; `gpu` says which GPU a type has.

    `engine` is None where it is itself wrong, which is told there.
    """
    problems = [text for kind in types if engine and (text := precision_problem(engine, kind, gpu(kind)))]
    if problems:
        raise ValueError("; ".join(problems))


def check_weights_image(weights: CloudWeightsSettings | None, image: str | None) -> None:
    """Raises ValueError where nodes could not get the image that brings the weights. None: it is itself wrong."""
    if weights is None or weights.image is None:
        return
    if image is None:
        raise ValueError(
            "is empty, and what is built then includes the image of weights.image; remove weights.image, or give both"
        )
    host, _, _ = image.partition("/")
    if not weights.image.startswith(f"{host}/"):
        raise ValueError(
            f"is of {host}, and weights.image of {weights.image.partition('/')[0]}: nodes log in to one registry; push "
            "both to the same"
        )


def check_image(engine: EngineSettings | None, image: str | None) -> None:
    """Raises ValueError where no image could be built for the engine. `engine` is None where it is itself wrong."""
    if image is None and engine is not None and engine.version == "2":
        raise ValueError(
            "is empty, and the image that is built has version 2.5 alone: no package index has version 2; give an "
            "image of your own with it, or set engine.version to 2.5"
        )


def in_mainland_china(region: str) -> bool:
    """Whether a region lies behind the border that Hugging Face cannot be reached across. Hong Kong does not."""
    return region.startswith("cn-") and region != "cn-hongkong"


def check_tags(tags: Mapping[str, str], problem: Callable[[str, str], str | None], most: int) -> None:
    """Raises ValueError for more than `most` tags, and for one of which `problem` says what is wrong."""
    problems = [text for key, value in tags.items() if (text := problem(key, value))]
    if len(tags) > most:
        problems.append(f"are {len(tags)}; give at most {most}")
    if problems:
        raise ValueError("; ".join(problems))


class NodesSettings(Model):
    """How many nodes there may be. The first `on_demand_base` are on demand; the others spot, if `spot`."""

    min: int = Field(ge=0)
    max: int = Field(ge=1, le=100)
    on_demand_base: int = Field(ge=0)
    spot: bool

    @field_validator("max")
    @classmethod
    def _max_is_not_below_min(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min", 0):
            raise ValueError(f"is below nodes.min, {info.data['min']}; raise nodes.max or lower nodes.min")
        return value

    @field_validator("on_demand_base")
    @classmethod
    def _base_fits(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("max", value):
            raise ValueError(f"is above nodes.max, {info.data['max']}; lower nodes.onDemandBase or raise nodes.max")
        return value


class PublicAddressSettings(Model):
    """Under which name the service is reached, and by whom. Without a domain: plain HTTP, for `allowed_cidrs` alone."""

    domain: Given[str]
    allowed_cidrs: Annotated[Items[str], AfterValidator(cidr.client_ranges)]

    @field_validator("domain")
    @classmethod
    def _is_a_domain(cls, text: str | None) -> str | None:
        if text is not None and not is_domain(text):
            raise ValueError("is no domain name; write it like speech.example.com, in lower case")
        return text

    @field_validator("allowed_cidrs")
    @classmethod
    def _plain_http_is_for_the_named(cls, texts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "domain" not in info.data or info.data["domain"] is not None:
            return texts
        if not texts:
            raise ValueError(
                "is empty, and without access.domain the service speaks plain HTTP; give the address ranges that may "
                "reach it, or a domain for TLS"
            )
        for text in texts:
            if cidr.network(text).prefixlen < cidr.WIDEST_WITHOUT_TLS:
                raise ValueError(
                    f"{text} is too wide for plain HTTP, which shows keys and texts on the way; give a "
                    f"/{cidr.WIDEST_WITHOUT_TLS} or smaller, or access.domain for TLS"
                )
        return texts


class CloudStorageSettings(StorageSettings):
    """What clouds add: how long logs are kept, in days."""

    log_days: int = Field(ge=1, le=3650)


class CloudNetworkSettings(Model):
    """A network of the stack's own in `cidr`, or an existing one: `vpc_id` and its subnets, in two zones or more.

    `private`: nodes have no public address and reach out through NAT; else they have one, and still nothing reaches in.
    An existing network must have the NAT. A cloud adds `vpc_id`, `subnet_ids` and `load_balancer_subnet_ids`, each in
    its own form of an id; of the last, none stands for `subnet_ids`.
    """

    subnets: ClassVar[str]
    """What the cloud calls them."""

    cidr: Annotated[str, AfterValidator(cidr.vpc_range)]
    private: bool

    @field_validator("subnet_ids", check_fields=False)
    @classmethod
    def _subnets_of_a_vpc(cls, ids: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "vpc_id" not in info.data:
            return ids
        if info.data["vpc_id"] is None:
            if ids:
                raise ValueError(f"is of no use without network.vpcId; give the VPC, or remove the {cls.subnets}")
            return ids
        if len(set(ids)) < 2:
            raise ValueError(
                f"has fewer than two {cls.subnets}; give one in each of two zones or more of network.vpcId"
            )
        return ids

    @field_validator("load_balancer_subnet_ids", check_fields=False)
    @classmethod
    def _load_balancer_subnets(cls, ids: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if ids and info.data.get("vpc_id", "") is None:
            raise ValueError(f"is of no use without network.vpcId; give the VPC, or remove the {cls.subnets}")
        if ids and len(set(ids)) < 2:
            raise ValueError(
                f"has fewer than two {cls.subnets}; a load balancer needs one in each of two zones or more"
            )
        return ids


class AlarmSettings(Model):
    """Whom alarms tell, and after how many minutes a GPU is idle."""

    email: Given[str]
    idle_minutes: int = Field(ge=5, le=1440)

    @field_validator("email")
    @classmethod
    def _is_an_address(cls, text: str | None) -> str | None:
        if text is not None and not _EMAIL.fullmatch(text):
            raise ValueError("is no e-mail address; write it like studio@example.com")
        return text


class CloudWeightsSettings(WeightsSettings):
    """What clouds add: a ready `image` of the Dockerfile's stage `weights`, which goes with a ready server image. A
    node without one waits for the server's image before it brings the weights.
    """

    image: Given[ImageReference]


class CloudSettings(StackSettings):
    """A service on GPU instances of any cloud, in one region."""

    region: str
    zones: Items[str]
    weights: CloudWeightsSettings
    instance_types: Items[str]
    nodes: NodesSettings
    storage: CloudStorageSettings
    tags: dict[str, str]
    protect: bool

    @property
    def place(self) -> str:
        """The region."""
        return self.region

    @field_validator("weights")
    @classmethod
    def _weights_of_the_engine(cls, given: CloudWeightsSettings, info: ValidationInfo) -> CloudWeightsSettings:
        engine, region = info.data.get("engine"), info.data.get("region")
        if engine is None or region is None:
            return given  # what is wrong there is told there
        return weights_of(engine, given, mainland=in_mainland_china(region))

    @field_validator("api_keys")
    @classmethod
    def _somebody_may_call(cls, keys: dict[str, Keys]) -> dict[str, Keys]:
        if not keys:
            raise ValueError(
                "is empty, and nobody could call the service; set a client's key: pulumi config set --secret --path "
                'indextts2:apiKeys.NAME "$(openssl rand -hex 24)"'
            )
        return keys
