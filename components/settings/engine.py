"""Which engine speaks, and where the weights of its model come from."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ValidationInfo, field_validator

from components.settings.model import Given, Model

Version = Literal["2", "2.5"]
Precision = Literal["fp32", "fp16", "bf16"]

NEWEST: Version = "2.5"
# What runs a version has these and no other: `use_fp16` of index-tts for version 2, `use_bf16` for 2.5
# (https://github.com/index-tts/index-tts/tree/main/indextts).
PRECISIONS: dict[Version, tuple[Precision, ...]] = {"2": ("fp32", "fp16"), "2.5": ("fp32", "bf16")}
# https://huggingface.co/IndexTeam, https://modelscope.cn/organization/IndexTeam
REPOSITORIES: dict[Version, str] = {"2": "IndexTeam/IndexTTS-2", "2.5": "IndexTeam/IndexTTS-2.5"}
NO_SOURCE = "none"

_SOURCE = re.compile(
    r"(hf|modelscope)://[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}(@[A-Za-z0-9][\w./-]{0,99})?", re.ASCII
)
_FOLDER = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ENDPOINT = re.compile(r"https://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?(/[\w.~/-]{0,200})?", re.ASCII)


def _number_as_text(value: Any) -> Any:
    """2.5 is a number to YAML, and to `pulumi config set --path`."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class EngineSettings(Model):
    """The engine: `espeak` (CPU, no weights), or `indextts2`, a `version` of the model on a GPU.

    Of espeak all others are None. `version` is always there for indextts2. `precision` None: by the card. `low_memory`
    None: by the card's memory.
    """

    name: Literal["espeak", "indextts2"]
    version: Annotated[Given[Version], BeforeValidator(_number_as_text)]
    precision: Given[Precision]
    low_memory: Given[bool]

    @field_validator("version", "precision", "low_memory")
    @classmethod
    def _is_of_the_model(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("name") == "espeak":
            raise ValueError("is of no use with engine.name espeak; set engine.name to indextts2, or remove it")
        return value

    @field_validator("version")
    @classmethod
    def _is_known(cls, version: Version | None, info: ValidationInfo) -> Version | None:
        return version or (NEWEST if info.data.get("name") == "indextts2" else None)

    @field_validator("precision")
    @classmethod
    def _the_version_has_it(cls, precision: Precision | None, info: ValidationInfo) -> Precision | None:
        version = info.data.get("version")
        if precision and version and precision not in PRECISIONS[version]:
            raise ValueError(
                f"is no precision of version {version}; use {' or '.join(PRECISIONS[version])}, or leave it out: the "
                "engine then goes by the card"
            )
        return precision


class WeightsSettings(Model):
    """The weights in the stack's own bucket, and the hub from which they come once, if they are not there.

    `name`: the folder below weights/. `source`: `hf://OWNER/NAME`, `modelscope://OWNER/NAME`, with `@REVISION` for
    another than the hub's main one, or `none`: somebody has put them there. `endpoint`: another address than the hub's
    own, a mirror's.
    """

    name: Given[str]
    source: Given[str]
    endpoint: Given[str]

    @field_validator("name")
    @classmethod
    def _is_a_folder(cls, name: str | None) -> str | None:
        if name is not None and (not _FOLDER.fullmatch(name) or ".." in name):
            raise ValueError(
                "is no name of a folder below weights/; use up to 63 small letters, digits, dots and dashes"
            )
        return name

    @field_validator("source")
    @classmethod
    def _is_a_source(cls, source: str | None) -> str | None:
        if source is None or source == NO_SOURCE or (_SOURCE.fullmatch(source) and ".." not in source):
            return source
        raise ValueError(
            f"is no source of weights; write hf://{REPOSITORIES[NEWEST]}, modelscope://OWNER/NAME@REVISION, or "
            f"{NO_SOURCE} where the bucket is filled by hand: indextts2 weights push"
        )

    @field_validator("endpoint")
    @classmethod
    def _is_an_endpoint(cls, endpoint: str | None, info: ValidationInfo) -> str | None:
        if endpoint is None:
            return None
        if not _ENDPOINT.fullmatch(endpoint):
            raise ValueError("is no address of a mirror; write https://HOST, without a user and a password")
        if info.data.get("source") == NO_SOURCE:
            raise ValueError("is of no use with weights.source none; give the source, or remove the endpoint")
        return endpoint


Weights = TypeVar("Weights", bound=WeightsSettings)


def weights_of(engine: EngineSettings, given: Weights, *, mainland: bool) -> Weights:
    """What a stack gives, and for the rest where the version's weights are: on ModelScope for a region of `mainland`
    China, from which Hugging Face cannot be reached, else on Hugging Face. Of espeak nothing.

    No revision is named: the first node that fills the bucket writes down the sum of every file, and every other node
    loads these files and no others.

    Raises ValueError for weights of an engine that has none.
    """
    if engine.version is None:
        named = [key for key in type(given).model_fields if getattr(given, key) is not None]
        if named:
            keys = ", ".join(f"weights.{key}" for key in named)
            raise ValueError(f"{keys}: the engine espeak has no weights; set engine.name to indextts2, or remove them")
        return given
    repository = REPOSITORIES[engine.version]
    hub = f"modelscope://{repository}" if mainland else f"hf://{repository}"
    name = given.name or f"indextts-{engine.version}"
    return given.model_copy(update={"name": name, "source": given.source or hub})
