"""Runs the whole program without an engine and records what it registers.

A stand-in for the engine, and a strict one: it refuses two resources of one URN, a resource that hangs on nothing,
a type that it was not told of, and an input or output that the type does not have. Types of a cloud's SDK need no
telling: names, nesting, types and required properties are held against the SDK's own metadata, and values against
what the provider is known to check itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import runpy
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import config, mocks, rpc, settings, stack
from pulumi.runtime.proto import resource_pb2

from tests import wire
from tests.alicloud_rules import rule_problems
from tests.invented import invented
from tests.sdk_schema import UnknownTypeError, config_value, function_schema, input_problems, resource_schema

# The region of every invented id, ARN and address of a cloud here.
REGIONS = {"alicloud": "cn-hangzhou"}
REGION = "us-west-2"
PROGRAM = Path(__file__).resolve().parent.parent / "__main__.py"
# Packages whose types are known by their SDK.
SDKS = ("aws", "alicloud", "docker")


@dataclass(frozen=True)
class Registration:
    urn: str
    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    secret_inputs: frozenset[str]
    secret_outputs: frozenset[str]
    depends_on: tuple[str, ...]
    custom: bool
    protect: bool = False
    provider: str = ""
    ignore_changes: tuple[str, ...] = ()
    replacement_trigger: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    """The inputs as plain values, with secrets unwrapped and None left out."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    """The same, with a mark in the place of each secret."""


class Recorder(mocks.MockMonitor):
    """`types` maps each type that no SDK knows and the program may register to the names of its properties.

    `calls` maps each function that the program may call to its answer.
    """

    def __init__(self, types: Mapping[str, frozenset[str]], calls: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(_Answers(types, calls))
        self.types = types
        self.registered: dict[str, Registration] = {}
        self.refused: list[str] = []
        self._lock = threading.Lock()

    def RegisterResource(self, request):  # noqa: N802 - the engine's own name
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type != "pulumi:pulumi:Stack":
            raw = dict(request.object.fields)
            with self._lock:
                self._check(urn, request, raw)
                self.registered[urn] = Registration(
                    urn,
                    request.type,
                    request.name,
                    request.parent,
                    rpc.deserialize_properties(request.object),
                    frozenset(name for name, value in raw.items() if wire.is_secret(value)),
                    frozenset(request.additionalSecretOutputs),
                    tuple(request.dependencies),
                    request.custom,
                    request.protect,
                    request.provider,
                    tuple(request.ignoreChanges),
                    request.replacement_trigger.string_value or None,
                    wire.from_wire(request.object),
                    wire.from_wire(request.object, hide=True),
                )
        with _event_loop():
            return super().RegisterResource(request)

    def Invoke(self, request):  # noqa: N802
        with _event_loop():
            return super().Invoke(request)

    def _check(self, urn: str, request: resource_pb2.RegisterResourceRequest, raw: dict[str, Any]) -> None:
        if urn in self.registered:
            self.refused.append(f"two resources have the URN {urn}")
        if not request.parent:
            self.refused.append(f"{urn} has no parent")
        if not request.custom:
            return
        if _sdk_of(request.type):
            try:
                schema, given = resource_schema(request.type), _given(request)
                problems = input_problems(schema, given)
                if _package(request.type) == "alicloud":
                    problems += rule_problems(schema, given)
            except UnknownTypeError as unknown_type:
                problems = [("", str(unknown_type))]
            self.refused += [f"{urn}: {text}" for _, text in problems]
            return
        known = self.types.get(request.type)
        if known is None:
            self.refused.append(f"{urn}: type {request.type} is not known")
            return
        unknown = {*raw, *request.additionalSecretOutputs} - known - {"__provider"}
        if unknown:
            self.refused.append(f"{urn}: {request.type} has no {sorted(unknown)}")

    def of_type(self, end: str) -> Registration:
        """The one registration whose type ends so."""
        (found,) = self.all_of_type(end)
        return found

    def all_of_type(self, end: str) -> list[Registration]:
        """The registrations whose type ends so."""
        return [one for one in self.registered.values() if one.type.endswith(end)]

    def named(self, name: str, end: str = "") -> Registration:
        """The one registration of this name, and of a type that ends so."""
        (found,) = [one for one in self.all_of_type(end) if one.name == name]
        return found


@contextlib.contextmanager
def _event_loop() -> Iterator[None]:
    """The SDK makes an event loop for each of its threads and leaves it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class _Answers(mocks.Mocks):
    """What the engine says of a resource: its inputs, and for each output something invented that names it."""

    def __init__(self, types: Mapping[str, frozenset[str]], calls: Mapping[str, Mapping[str, Any]]) -> None:
        self.types, self.calls = types, calls

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict]:
        if _sdk_of(args.typ) and not args.typ.startswith("pulumi:providers:"):
            with contextlib.suppress(UnknownTypeError):
                region = REGIONS.get(_package(args.typ), REGION)
                return invented(resource_schema(args.typ), args.name, _set(args.inputs), region, {})
        outputs = {name: f"{args.name}.{name}" for name in self.types.get(args.typ, ())}
        return f"{args.name}-id", outputs | _set(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> dict:
        assert args.token in self.calls, f"the program calls {args.token}, and nothing was said of its answer"
        problems = input_problems(function_schema(args.token), _set(args.args))
        assert not problems, problems
        return {**args.args, **self.calls[args.token]}


def _sdk_of(kind: str) -> bool:
    return _package(kind) in SDKS


def _package(kind: str) -> str:
    return kind.removeprefix("pulumi:providers:").partition(":")[0]


def _given(request: resource_pb2.RegisterResourceRequest) -> dict[str, Any]:
    """The inputs; a provider's own travel as JSON."""
    values = wire.from_wire(request.object)
    if request.type.startswith("pulumi:providers:"):
        return {
            name: config_value(value) for name, value in values.items() if name not in ("version", "pluginDownloadURL")
        }
    return values


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def run_program(
    types: Mapping[str, frozenset[str]],
    values: Mapping[str, str],
    *,
    stack_name: str = "test",
    secret_keys: tuple[str, ...] = (),
    preview: bool = False,
    calls: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Recorder, dict[str, Any]]:
    """Run `__main__.py` with this configuration; the registrations and the stack's outputs.

    Raises what the program raises, and AssertionError with all that the recorder refused.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        settings.reset_options()
        config.set_all_config(dict(values), list(secret_keys))
        recorder = Recorder(types, calls or {})
        mocks.set_mocks(recorder.mocks, project="indextts2", stack=stack_name, preview=preview, monitor=recorder)

        async def program() -> dict[str, Any]:
            await stack.run_pulumi_func(lambda: runpy.run_path(str(PROGRAM), run_name="__main__"))
            root = settings.get_root_resource()
            assert root is not None
            return {
                name: {"value": await output.future(), "secret": await output.is_secret()}
                for name, output in ((key, pulumi.Output.from_input(value)) for key, value in root.outputs.items())
            }

        outputs = loop.run_until_complete(program())
    finally:
        loop.close()
        asyncio.set_event_loop(None)
        # The program may switch it off: its own process is short.
        gc.enable()
    assert not recorder.refused, recorder.refused
    return recorder, outputs
