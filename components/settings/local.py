"""The settings of `target: local`."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from components.settings.alicloud_registry import BuildSettings
from components.settings.base import StackSettings
from components.settings.cloud import check_image, matching
from components.settings.engine import NO_SOURCE, EngineSettings, WeightsSettings
from components.settings.model import Given, Model

MAX_REPLICAS = 64
# One server with indextts2 drives every GPU of the machine; a second would load the model on each once more.
REPLICAS = {"espeak": 2, "indextts2": 1}
# The client for whom a key is made when the stack names none of that name.
LOCAL_CLIENT = "local"

_DEVICE = re.compile(r"cpu|cuda:[0-9]{1,2}")
_STORE = re.compile(r"(s3|oss)://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\?[\w.&=%:/-]{1,200})?|file:///[^?]+")


class LocalEngineSettings(EngineSettings):
    """`device`: `cpu` or `cuda:N`; None: every GPU. `python`: an interpreter with the engine's packages; None: the one
    that `make engine` makes. `voices`: a folder of NAME.wav, of which default.wav is the default voice.
    `idle_unload_minutes`: an engine that nobody asked for so long gives its memory back; None: never.
    """

    device: Given[str]
    python: Given[str]
    voices: Given[str]
    idle_unload_minutes: Given[Annotated[int, Field(ge=1, le=10_000)]]

    @field_validator("device", "python", "voices", "idle_unload_minutes")
    @classmethod
    def _is_of_indextts2(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("name") == "espeak":
            raise ValueError("is of no use with engine.name espeak; set engine.name to indextts2, or remove it")
        return value

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str | None) -> str | None:
        if device is not None and not _DEVICE.fullmatch(device):
            raise ValueError("is no device; write cpu or cuda:N, or leave it out: every GPU is then used")
        return device


class LocalWeightsSettings(WeightsSettings):
    """The weights in `folder`, or fetched from weights/NAME of `store` or from the hub `source`: one of the three."""

    folder: Given[str]
    store: Given[str]

    @field_validator("store")
    @classmethod
    def _is_a_store(cls, store: str | None) -> str | None:
        if store is not None and not _STORE.fullmatch(store):
            raise ValueError("is no store; write s3://BUCKET?region=REGION, oss://BUCKET?region=REGION or file:///DIR")
        return store


class LocalContainerSettings(Model):
    """Of each server's container. `memory`: as docker takes it, say 16g; None: 2g with espeak, 16g with indextts2."""

    network: Annotated[str, matching(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}", "is no network of Docker's; write bridge")]
    memory: Given[Annotated[str, matching(r"[1-9][0-9]{0,4}[mg]", "is no amount of memory; write it like 16g")]]


class LocalSettings(StackSettings):
    """A service of processes on this machine."""

    own_clients = (LOCAL_CLIENT,)

    target: Literal["local"]
    engine: LocalEngineSettings
    weights: LocalWeightsSettings
    runtime: Literal["process", "container"]
    image: Given[Annotated[str, matching(r"[a-z0-9][a-zA-Z0-9._:/@-]{0,400}", "is no image's name")]]
    build: BuildSettings
    container: LocalContainerSettings
    data_dir: str
    host: str
    port: int = Field(ge=1, le=65535)
    replicas: int = Field(ge=0, le=MAX_REPLICAS)

    @field_validator("weights")
    @classmethod
    def _weights_come_from_one_place(cls, weights: LocalWeightsSettings, info: ValidationInfo) -> LocalWeightsSettings:
        engine = info.data.get("engine")
        if engine is None:
            return weights  # what is wrong there is told there
        given = [name for name in ("folder", "store", "source", "name", "endpoint") if getattr(weights, name)]
        if engine.name == "espeak":
            if given:
                raise ValueError(f"{', '.join(given)}: the engine espeak has no weights; remove it")
            return weights
        places = [name for name in given if name in ("folder", "store", "source")]
        if len(places) != 1 or weights.source == NO_SOURCE:
            raise ValueError(
                f"{' and '.join(places) or 'nothing'} is given; indextts2 wants one of folder (where the weights lie "
                "on this machine), store (a bucket that holds them) and source (hf://OWNER/NAME or "
                "modelscope://OWNER/NAME, about 9 GB)"
            )
        if (weights.folder and "name" in given) or (weights.endpoint and not weights.source):
            raise ValueError(f"{given[-1]} is of no use with {places[0]}; remove it")
        return weights.model_copy(update={"name": weights.name or f"indextts-{engine.version}"})

    @field_validator("runtime")
    @classmethod
    def _a_container_has_its_own_python(cls, runtime: str, info: ValidationInfo) -> str:
        engine = info.data.get("engine")
        if runtime == "container" and engine is not None and engine.python:
            raise ValueError("has the engine's packages in its image; remove engine.python, or set runtime to process")
        return runtime

    @field_validator("image")
    @classmethod
    def _an_image_is_run_in_containers(cls, image: str | None, info: ValidationInfo) -> str | None:
        if image and info.data.get("runtime") == "process":
            raise ValueError("is of no use with runtime process; set runtime to container, or remove it")
        if info.data.get("runtime") == "container":
            check_image(info.data.get("engine"), image)
        return image

    @field_validator("data_dir")
    @classmethod
    def _data_dir_is_named(cls, path: str) -> str:
        if not path.strip():
            raise ValueError("it is empty; give a directory, say .local/data/{stack}")
        return path

    @field_validator("host")
    @classmethod
    def _host_is_an_address(cls, host: str) -> str:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("not an IP address; use 127.0.0.1, or 0.0.0.0 for every interface") from None
        return host

    @field_validator("replicas")
    @classmethod
    def _replicas_suit_the_engine(cls, replicas: int, info: ValidationInfo) -> int:
        engine = info.data.get("engine")
        if engine is None:
            return replicas
        if engine.name == "indextts2" and replicas > REPLICAS[engine.name]:
            raise ValueError("with indextts2 one server drives every GPU of the machine; set 1, or remove it")
        return replicas or REPLICAS[engine.name]

    @property
    def contained(self) -> bool:
        """Whether the servers run in containers."""
        return self.runtime == "container"

    @property
    def public(self) -> bool:
        """Whether other machines can reach the service."""
        return not ipaddress.ip_address(self.host).is_loopback
