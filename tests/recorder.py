"""Runs the whole program without an engine and records what it registers.

A stand-in for the engine, and a strict one: it refuses two resources of one URN, a resource that hangs on nothing,
a type that it was not told of, and an input or output that the type does not have.
"""

from __future__ import annotations

import asyncio
import runpy
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import config, mocks, rpc, settings, stack
from pulumi.runtime.proto import resource_pb2

PROGRAM = Path(__file__).resolve().parent.parent / "__main__.py"
# How a marked value travels to the engine, and the mark of a secret one (sdk/go/common/resource/sig).
MARK = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


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


class Recorder(mocks.MockMonitor):
    """`types` maps each type that the program may register to the names of its properties."""

    def __init__(self, types: Mapping[str, frozenset[str]]) -> None:
        super().__init__(_Answers(types))
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
                    frozenset(name for name, value in raw.items() if _is_secret(value)),
                    frozenset(request.additionalSecretOutputs),
                    tuple(request.dependencies),
                    request.custom,
                )
        # The SDK makes an event loop for each of its threads and leaves it open.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return super().RegisterResource(request)
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def _check(self, urn: str, request: resource_pb2.RegisterResourceRequest, raw: dict[str, Any]) -> None:
        if urn in self.registered:
            self.refused.append(f"two resources have the URN {urn}")
        if not request.parent:
            self.refused.append(f"{urn} has no parent")
        if not request.custom:
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
        (found,) = [one for one in self.registered.values() if one.type.endswith(end)]
        return found


class _Answers(mocks.Mocks):
    """What the engine says of a resource: its inputs, and for each output a text that names it."""

    def __init__(self, types: Mapping[str, frozenset[str]]) -> None:
        self.types = types

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict]:
        outputs = {name: f"{args.name}.{name}" for name in self.types.get(args.typ, ())}
        return f"{args.name}-id", outputs | {key: value for key, value in args.inputs.items() if value is not None}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict, None]:
        raise AssertionError(f"the program calls {args.token}, and nothing was said of its answer")


def run_program(
    types: Mapping[str, frozenset[str]],
    values: Mapping[str, str],
    *,
    stack_name: str = "test",
    secret_keys: tuple[str, ...] = (),
    preview: bool = False,
) -> tuple[Recorder, dict[str, Any]]:
    """Run `__main__.py` with this configuration; the registrations and the stack's outputs.

    Raises what the program raises, and AssertionError with all that the recorder refused.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        settings.reset_options()
        config.set_all_config(dict(values), list(secret_keys))
        recorder = Recorder(types)
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
    assert not recorder.refused, recorder.refused
    return recorder, outputs


def _is_secret(value: Any) -> bool:
    """Whether a property travels wrapped as a secret."""
    return value.WhichOneof("kind") == "struct_value" and (
        value.struct_value.fields[MARK].string_value == SECRET if MARK in value.struct_value.fields else False
    )
