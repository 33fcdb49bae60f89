"""The provider's side of the engine's protocol, for one configured provider of any SDK package."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.engine.standin import lookups, naming, replacement
from tests.engine.standin.account import Account, HalfMadeError, RefusedError, updated
from tests.engine.standin.vendor import GLOBAL
from tests.engine.standin.vendors import vendor_of
from tests.sdk_schema import (
    UNKNOWN,
    Schema,
    Unknown,
    UnknownTypeError,
    config_value,
    function_schema,
    input_problems,
    resource_schema,
)
from tests.wire import from_wire, to_wire

# The bridge's mark of names that it made up itself.
MADE_UP = "__defaults"


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One process of `pulumi-resource-PACKAGE`, as the engine sees it."""

    def __init__(self, package: str, account: Account) -> None:
        self.package = package
        self.account = account
        self.region = GLOBAL
        self.tags: dict[str, str] = {}

    def Handshake(self, request, context):  # noqa: N802 - the protocol's own names, here and below
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request, context):  # noqa: N802
        return plugin_pb2.PluginInfo(version=importlib.metadata.version(f"pulumi-{self.package}"))

    def Cancel(self, request, context):  # noqa: N802
        return empty_pb2.Empty()

    def CheckConfig(self, request, context):  # noqa: N802
        news = {name: config_value(value) for name, value in from_wire(request.news).items() if name != "version"}
        problems = input_problems(resource_schema(f"pulumi:providers:{self.package}"), news)
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(problems))

    def DiffConfig(self, request, context):  # noqa: N802
        """No property of either cloud's provider forces a replacement, not even the region.

        For AWS see pulumi-aws #5656; pulumi-alicloud 4 marks none with `ForcesProviderReplace` either.
        """
        differing = replacement.changed(from_wire(request.old_inputs), from_wire(request.news))
        changes = provider_pb2.DiffResponse.DIFF_SOME if differing else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changes, diffs=differing)

    def Configure(self, request, context):  # noqa: N802
        given = {name: config_value(value) for name, value in from_wire(request.args).items()}
        self.region = given.get("region", GLOBAL)
        tags = given.get("defaultTags", {})
        self.tags = tags.get("tags", {}) if isinstance(tags, dict) else {}
        allowed = given.get("allowedAccountIds")
        if isinstance(allowed, list) and allowed and self.account.number not in allowed:
            context.abort(grpc.StatusCode.UNKNOWN, f"AWS account ID not allowed: {self.account.number}")
        if self.account.number in given.get("forbiddenAccountIds", []):
            context.abort(grpc.StatusCode.UNKNOWN, f"AWS account ID not allowed: {self.account.number}")
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def Invoke(self, request, context):  # noqa: N802
        arguments = from_wire(request.args)
        try:
            problems = input_problems(function_schema(request.tok), arguments)
            if problems:
                return provider_pb2.InvokeResponse(failures=_failures(problems))
            result = lookups.answer(self.account, request.tok, self.region, arguments)
        except (RefusedError, UnknownTypeError) as refusal:
            return provider_pb2.InvokeResponse(failures=_failures([("", str(refusal))]))
        # `return` is the protocol's name of the field, and a word that Python keeps for itself.
        return provider_pb2.InvokeResponse(**{"return": to_wire({**arguments, **result})})

    def Check(self, request, context):  # noqa: N802
        olds, news = from_wire(request.olds), from_wire(request.news)
        token = _type(request.urn)
        try:
            schema = resource_schema(token)
            problems = input_problems(schema, news) + vendor_of(token).problems(schema, news)
            inputs = {**news, **self._made_up(schema, request.urn, olds, news)}
            if token == "docker:index/image:Image":
                inputs = _with_digest_of_the_context(inputs)
        except (UnknownTypeError, ValueError) as refusal:
            problems, inputs = [("", str(refusal))], news
        self.account.refusals += [text for _, text in problems]
        return provider_pb2.CheckResponse(inputs=to_wire(inputs), failures=_failures(problems))

    def Diff(self, request, context):  # noqa: N802
        schema = resource_schema(_type(request.urn))
        olds, news = from_wire(request.old_inputs), from_wire(request.news)
        if "region" in news and "region" not in olds:
            # To name the region in which the resource lives anyway is no change.
            olds["region"] = from_wire(request.olds).get("region")
        differing = replacement.changed(olds, news)
        drifted = replacement.drifted(schema, from_wire(request.olds), news, list(request.ignoreChanges))
        differing = sorted({*differing, *drifted})
        try:
            replaces = replacement.replacing(schema, differing)
        except replacement.UnlistedTypeError as refusal:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, str(refusal))
        # As the bridge does: two resources of one name cannot live at once, unless the name was made up.
        named = naming.named_property(schema)
        fixed = named is not None and named in news and named not in news.get(MADE_UP, [])
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if differing else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=differing,
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and fixed and olds.get(named) == news.get(named),
        )

    def Create(self, request, context):  # noqa: N802
        inputs = from_wire(request.properties)
        schema = resource_schema(_type(request.urn))
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_wire(_shown(inputs)))
        try:
            identity, outputs = self.account.create(
                schema, _name(request.urn), inputs, self._place(schema, inputs), self.tags
            )
        except RefusedError as refusal:
            context.abort(grpc.StatusCode.UNKNOWN, str(refusal))
        except HalfMadeError as half:
            return _half_made(context, half, inputs)
        return provider_pb2.CreateResponse(id=identity, properties=to_wire(outputs))

    def Update(self, request, context):  # noqa: N802
        inputs, olds = from_wire(request.news), from_wire(request.olds)
        schema = resource_schema(_type(request.urn))
        if request.preview:
            moving = dict.fromkeys(vendor_of(schema.token).moving.get(schema.token, ()), UNKNOWN)
            return provider_pb2.UpdateResponse(properties=to_wire({**updated(schema, olds, inputs, False), **moving}))
        try:
            outputs = self.account.update(schema.token, request.id, self._place(schema, olds), inputs, self.tags)
        except RefusedError as refusal:
            context.abort(grpc.StatusCode.UNKNOWN, str(refusal))
        except HalfMadeError as half:
            return _half_made(context, half, inputs)
        return provider_pb2.UpdateResponse(properties=to_wire(outputs))

    def Delete(self, request, context):  # noqa: N802
        place = self._place(resource_schema(_type(request.urn)), from_wire(request.properties))
        try:
            self.account.delete(_type(request.urn), request.id, place)
        except RefusedError as refusal:
            context.abort(grpc.StatusCode.UNKNOWN, str(refusal))
        return empty_pb2.Empty()

    def Read(self, request, context):  # noqa: N802
        place = self._place(resource_schema(_type(request.urn)), from_wire(request.properties))
        living = self.account.read(_type(request.urn), request.id, place)
        if living is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=living.identity, properties=to_wire(living.outputs), inputs=to_wire(living.inputs)
        )

    def _place(self, schema: Schema, properties: Mapping[str, Any]) -> str:
        """A resource's own region, else the provider's; some services know no regions."""
        regional = vendor_of(schema.token).regional(schema)
        return (properties.get("region") or self.region) if regional else GLOBAL

    def _made_up(self, schema: Schema, urn: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        named = naming.named_property(schema)
        if named is None or named in news or f"{named}Prefix" in news:
            return {}
        kept = olds.get(named) if named in olds.get(MADE_UP, []) else None
        return {named: kept or naming.made_up(schema, _name(urn)), MADE_UP: [named]}


def _with_digest_of_the_context(inputs: dict[str, Any]) -> dict[str, Any]:
    """As pulumi-docker does: what is in the build's directory is part of the inputs. Raises ValueError."""
    build = inputs.get("build")
    if not isinstance(build, dict) or isinstance(build.get("context", "."), Unknown):
        return inputs
    directory = Path(build.get("context", "."))
    dockerfile = Path(build.get("dockerfile") or directory / "Dockerfile")
    if not dockerfile.is_file():
        raise ValueError(f"could not open dockerfile at {dockerfile}")
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        digest.update(f"{path.relative_to(directory)}\0".encode() + path.read_bytes())
    return {**inputs, "build": {**build, "contextDigest": digest.hexdigest()}}


def _half_made(context: grpc.ServicerContext, half: HalfMadeError, inputs: dict[str, Any]) -> None:
    """Tell the engine that the resource exists and is not ready: a status with details."""
    detail = provider_pb2.ErrorResourceInitFailed(
        id=half.identity, properties=to_wire(half.outputs), reasons=[str(half)], inputs=to_wire(inputs)
    )
    packed = any_pb2.Any()
    packed.Pack(detail)
    code = grpc.StatusCode.UNKNOWN
    status = status_pb2.Status(code=code.value[0], message=str(half), details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, str(half))


def _shown(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a preview knows of a resource that is not made yet."""
    return {name: value for name, value in inputs.items() if name != MADE_UP and not name.endswith("Wo")}


def _failures(problems: list[tuple[str, str]]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=name, reason=f"[stand-in] {text}") for name, text in problems]


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]
