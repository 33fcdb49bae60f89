"""The form that every group of settings has."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A group of settings. Python names here, camelCase in the stack's file; nothing unknown, nothing converted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, hide_input_in_errors=True
    )


def _list_as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _empty_as_none(value: Any) -> Any:
    return None if value == "" else value


T = TypeVar("T")
# The CLI gives lists, and a frozen model should hold nothing that can be changed.
Items = Annotated[tuple[T, ...], BeforeValidator(_list_as_tuple)]
# The CLI wants a default of the key's own type, so that "" stands for what is not given.
Given = Annotated[T | None, BeforeValidator(_empty_as_none)]
