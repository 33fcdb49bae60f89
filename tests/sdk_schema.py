"""What a Pulumi SDK package says of its own resources and functions: property names, nesting, types, required ones.

Works for any SDK that Pulumi generates for Python (`pulumi_aws`, `pulumi_docker`, ...): the package registers its
resource classes with `pulumi.runtime`, and each class carries its properties' names and types. Who stands in for an
engine or a provider refuses with these what the real one would refuse.
"""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import json
import re
import sys
import threading
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, NoneType, UnionType
from typing import Any

import pulumi
from pulumi import _types
from pulumi.runtime import rpc


class UnknownTypeError(Exception):
    """The SDK has no such resource or function."""


class Unknown:
    """A value that a preview does not know yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()

# Python 3.11 loses count when two threads parse at once (https://github.com/python/cpython/issues/106905), and the
# resources of one program are registered by several.
_PARSING = threading.Lock()


@dataclass(frozen=True)
class Property:
    """`type` as the SDK annotates it, without `Input`, `Output` and `Optional`."""

    type: Any
    required: bool


@dataclass(frozen=True)
class Schema:
    """A resource's or function's properties, by the names that travel to the engine (camelCase)."""

    token: str
    inputs: Mapping[str, Property]
    outputs: Mapping[str, Property]


@functools.cache
def resource_schema(token: str) -> Schema:
    """The schema of a resource type such as `aws:sqs/queue:Queue`, or of a provider, `pulumi:providers:aws`.

    Raises UnknownTypeError for one that the SDK does not have.
    """
    resource = _resource_class(token)
    # Its name is not always `...Args`: a nested input may have that one.
    with _PARSING:
        source = inspect.getsource(resource)
    made = re.search(r"__props__ = (\w+)\.__new__", source)
    if made is None:
        raise UnknownTypeError(f"{token}: {resource.__name__} does not say what its arguments are")
    arguments = vars(sys.modules[resource.__module__])[made[1]]
    return Schema(token, _inputs(arguments), _getters(resource))


@functools.cache
def function_schema(token: str) -> Schema:
    """The schema of a function such as `aws:ec2/getAmi:getAmi`. Raises UnknownTypeError."""
    package, module, name = token.split(":")
    home = module.partition("/")[0]
    found = importlib.import_module(f"pulumi_{package}" if home == "index" else f"pulumi_{package}.{home}")
    function = getattr(found, _snake(name), None)
    if function is None:
        raise UnknownTypeError(f"{token}: {found.__name__} has no {_snake(name)}")
    with _PARSING:
        source = inspect.getsource(function)
    if f"'{token}'" not in source:
        raise UnknownTypeError(f"{token}: {found.__name__}.{_snake(name)} calls another function")
    hints = typing.get_type_hints(function, globalns=vars(inspect.getmodule(function)))
    parameters = inspect.signature(function).parameters
    inputs = {
        wire: Property(_plain(hints[argument]), parameters[argument].default is inspect.Parameter.empty)
        for wire, argument in re.findall(r"__args__\['(\w+)'\] = (\w+)", source)
    }
    return Schema(token, inputs, _getters(hints["return"]))


def input_problems(schema: Schema, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the SDK's schema holds against these inputs: pairs of a top-level property's name and a text.

    Values as they travel: camelCase names, numbers as floats, `UNKNOWN` for what is not known yet.
    """
    problems = [(name, f"{schema.token}: {text}") for name, text in _object_problems(schema.inputs, values, "")]
    return [(name.partition(".")[0].partition("[")[0], text) for name, text in problems]


def config_value(text: Any) -> Any:
    """A provider's own property, which travels as JSON unless it is a text."""
    if not isinstance(text, str) or text[:1] not in ("{", "[", "t", "f"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def is_list(kind: Any) -> bool:
    return typing.get_origin(kind) in (list, Sequence)


def _resource_class(token: str) -> type[pulumi.Resource]:
    if token.startswith("pulumi:providers:"):
        return importlib.import_module(f"pulumi_{token.rpartition(':')[2]}").Provider
    package, _, rest = token.partition(":")
    importlib.import_module(f"pulumi_{package}")
    for modules in rpc._RESOURCE_MODULES.get(f"{package}:{rest.partition(':')[0]}", ()):
        info = modules.mod_info
        if token in info["classes"]:
            return getattr(importlib.import_module(info["fqn"]), info["classes"][token])
    raise UnknownTypeError(f"pulumi_{package} has no resource {token}")


@functools.cache
def _inputs(arguments: type) -> Mapping[str, Property]:
    """The properties of an `...Args` class; required are those without a default."""
    signature = inspect.signature(arguments.__init__).parameters
    names = _types.input_type_py_to_pulumi_names(arguments)
    types = _types.input_type_types(arguments)
    return MappingProxyType(
        {
            names[name]: Property(_plain(types[names[name]]), parameter.default is inspect.Parameter.empty)
            for name, parameter in signature.items()
            if name in names
        }
    )


@functools.cache
def _getters(kind: type) -> Mapping[str, Property]:
    """The output properties of a resource or of a function's result; required are those that are never None."""
    found: dict[str, Property] = {}
    for base in reversed(kind.__mro__):
        for attribute in vars(base).values():
            getter = getattr(attribute, "fget", None)
            name = getattr(getter, _types._PULUMI_NAME, None)
            if getter is None or name is None:
                continue
            hint = typing.get_type_hints(getter, globalns=vars(sys.modules[base.__module__]))["return"]
            found[name] = Property(_plain(hint), not _optional(hint))
    return MappingProxyType(found)


def _plain(hint: Any) -> Any:
    """Without Input, Output, Optional and the dictionary twin of an `...Args` class."""
    origin = typing.get_origin(hint)
    if origin is pulumi.Output:
        return _plain(typing.get_args(hint)[0])
    if origin not in (typing.Union, UnionType):
        return hint
    members = [
        _plain(member)
        for member in typing.get_args(hint)
        if member is not NoneType
        and typing.get_origin(member) is not pulumi.Output
        and getattr(typing.get_origin(member), "__name__", "") != "Awaitable"
        and not typing.is_typeddict(member)
    ]
    return members[0] if len(members) == 1 else typing.Union[tuple(members)]  # noqa: UP007 - of a tuple


def _optional(hint: Any) -> bool:
    if typing.get_origin(hint) is pulumi.Output:
        return _optional(typing.get_args(hint)[0])
    return typing.get_origin(hint) in (typing.Union, UnionType) and NoneType in typing.get_args(hint)


def _object_problems(schema: Mapping[str, Property], values: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    problems = [
        (f"{path}{name}", f"there is no property {path}{name}")
        for name in sorted(values.keys() - schema.keys())
        if not name.startswith("__")
    ]
    for name, known in schema.items():
        value = values.get(name)
        if value is not None:
            problems += _value_problems(known.type, value, f"{path}{name}")
        elif known.required:
            problems.append((f"{path}{name}", f"{path}{name} is required"))
    return problems


def _value_problems(kind: Any, value: Any, path: str) -> list[tuple[str, str]]:
    """`kind` as the SDK annotates it."""
    kind = _plain(kind)
    origin = typing.get_origin(kind)
    if isinstance(value, Unknown) or kind is Any or kind is object:
        return []
    if origin in (typing.Union, UnionType):
        found = [_value_problems(member, value, path) for member in typing.get_args(kind)]
        return min(found, key=len)
    if is_list(kind):
        if not isinstance(value, list):
            return [_wrong(path, "a list", value)]
        (element,) = typing.get_args(kind)
        return [one for at, item in enumerate(value) for one in _value_problems(element, item, f"{path}[{at}]")]
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            return [_wrong(path, "an object", value)]
        element = typing.get_args(kind)[1]
        return [one for key, item in value.items() for one in _value_problems(element, item, f"{path}.{key}")]
    if isinstance(kind, type) and _types.is_input_type(kind):
        if not isinstance(value, dict):
            return [_wrong(path, "an object", value)]
        return _object_problems(_inputs(kind), value, f"{path}.")
    return _scalar_problems(kind, value, path)


def _scalar_problems(kind: Any, value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        known = [member.value for member in kind]
        return [] if value in known else [_wrong(path, f"one of {known}", value)]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        str: isinstance(value, str),
        bool: isinstance(value, bool),
        int: number and float(value).is_integer(),
        float: number,
    }
    if kind in fits:
        return [] if fits[kind] else [_wrong(path, f"of type {kind.__name__}", value)]
    return [] if isinstance(value, kind) else [_wrong(path, f"of type {kind!r}", value)]


def _wrong(path: str, wanted: str, value: Any) -> tuple[str, str]:
    # Not the value: it may be a secret.
    return path, f"{path} is not {wanted} but {type(value).__name__}"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)
