"""The make-believe account: the resources that live in it, and what it refuses.

It outlives the plugin processes, which the engine starts and ends with each command.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.engine.standin import naming
from tests.invented import ACCOUNT, all_tags, invented
from tests.sdk_schema import Schema

REFERENCE = re.compile(
    r"(?:vpc|subnet|sg|igw|nat|eipalloc|rtb|vpce|lt)-[0-9a-f]{8,17}|arn:aws:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+"
)
# Where the resources live that have no region.
GLOBAL = "global"
# These cannot be deleted while another resource names them; most others can.
HELD = (
    *(f"aws:ec2/{name}:" for name in ("vpc", "subnet", "securityGroup", "internetGateway", "natGateway", "eip")),
    "aws:lb/targetGroup:",
    "aws:iam/role:",
)
# Deleting these is refused while the property, as the stack last set it, says so.
GUARDED = {
    "aws:lb/loadBalancer:LoadBalancer": ("enableDeletionProtection", "deletion protection is on"),
}


class RefusedError(Exception):
    """The account refuses; the text says why."""


class HalfMadeError(Exception):
    """The resource exists, and is not what it should be: the provider tells the engine both."""

    def __init__(self, identity: str, outputs: dict[str, Any], reason: str) -> None:
        super().__init__(reason)
        self.identity, self.outputs = identity, outputs


@dataclass
class Living:
    """A resource in the account."""

    schema: Schema
    identity: str
    region: str
    logical_name: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]

    @property
    def token(self) -> str:
        return self.schema.token


@dataclass
class Failure:
    """An ordered failure: the first call of `operation` for which `matches(token, logical_name)` is true."""

    operation: str
    matches: Callable[[str, str], bool]
    reason: str
    half_made: bool = False


@dataclass
class Account:
    """`existing`: ids and ARNs that the account had before the stack; a reference to anything else is refused."""

    existing: set[str] = field(default_factory=set)
    living: list[Living] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    # (operation, token, logical name, region) in the order in which they happened.
    journal: list[tuple[str, str, str, str]] = field(default_factory=list)
    # Objects in a bucket or images in a repository, by its id.
    objects: dict[str, int] = field(default_factory=dict)
    number: str = ACCOUNT
    machine_image: str = "ami-0123456789abcdef0"
    architecture: str = "x86_64"
    # vCPUs by quota code, where they are not generous.
    quotas: dict[str, float] = field(default_factory=dict)
    # Functions that the account may not call.
    denied: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._number = 0

    def fail_once(self, operation: str, ending: str, reason: str, *, half_made: bool = False) -> None:
        """Make the next `operation` (create, update, delete) of a resource whose type or name ends so fail."""
        self.failures.append(
            Failure(operation, lambda token, name: token.endswith(ending) or name.endswith(ending), reason, half_made)
        )

    def of_type(self, ending: str) -> list[Living]:
        return [one for one in self.living if one.token.endswith(ending)]

    def create(
        self, schema: Schema, logical_name: str, inputs: dict[str, Any], region: str, tags: Mapping[str, str]
    ) -> tuple[str, dict[str, Any]]:
        """The new resource's id and outputs. Raises RefusedError, HalfMadeError."""
        with self._lock:
            failure = self._failure("create", schema.token, logical_name)
            if failure and not failure.half_made:
                raise RefusedError(failure.reason)
            self._refuse_what_is_not_there(schema, inputs, region)
            self._refuse_a_duplicate(schema, inputs, region, None)
            self._number += 1
            name = naming.name_in_the_cloud(schema, inputs, logical_name, self._number)
            identity, outputs = invented(schema, name, inputs, region, tags)
            self.living.append(Living(schema, identity, region, logical_name, inputs, outputs))
            self.journal.append(("create", schema.token, logical_name, region))
            if failure:
                raise HalfMadeError(identity, outputs, failure.reason)
            return identity, outputs

    def update(
        self, token: str, identity: str, region: str, inputs: dict[str, Any], tags: Mapping[str, str]
    ) -> dict[str, Any]:
        """The resource's new outputs. Raises RefusedError, HalfMadeError."""
        with self._lock:
            one = self._find(token, identity, region)
            failure = self._failure("update", token, one.logical_name)
            if failure and not failure.half_made:
                raise RefusedError(failure.reason)
            self._refuse_what_is_not_there(one.schema, inputs, region)
            self._refuse_a_duplicate(one.schema, inputs, region, one)
            one.outputs = updated(one.schema, one.outputs, inputs, one.inputs != inputs)
            if "tagsAll" in one.outputs:
                one.outputs["tagsAll"] = all_tags(one.schema, inputs, tags)
            one.inputs = inputs
            self.journal.append(("update", token, one.logical_name, region))
            if failure:
                raise HalfMadeError(identity, one.outputs, failure.reason)
            return one.outputs

    def delete(self, token: str, identity: str, region: str) -> None:
        """Raises RefusedError."""
        with self._lock:
            one = self._find(token, identity, region)
            failure = self._failure("delete", token, one.logical_name)
            if failure:
                raise RefusedError(failure.reason)
            for other in self.living:
                if other is not one and token.startswith(HELD) and identity in _texts(other.inputs):
                    raise self._refusal(f"{identity} is still used by {other.logical_name} ({other.token})")
            guard, why = GUARDED.get(token, ("", ""))
            if one.inputs.get(guard):
                raise self._refusal(f"{identity}: {why}")
            if self.objects.get(identity) and not (one.inputs.get("forceDestroy") or one.inputs.get("forceDelete")):
                raise self._refusal(f"{identity} is not empty")
            self.living.remove(one)
            self.journal.append(("delete", token, one.logical_name, region))

    def read(self, token: str, identity: str, region: str) -> Living | None:
        with self._lock:
            found = [one for one in self.living if (one.token, one.identity, one.region) == (token, identity, region)]
            return found[0] if found else None

    def _find(self, token: str, identity: str, region: str) -> Living:
        one = self.read(token, identity, region)
        if one is None:
            raise self._refusal(f"there is no {token} {identity} in {region}")
        return one

    def _failure(self, operation: str, token: str, name: str) -> Failure | None:
        for failure in self.failures:
            if failure.operation == operation and failure.matches(token, name):
                self.failures.remove(failure)
                return failure
        return None

    def _refuse_what_is_not_there(self, schema: Schema, inputs: Mapping[str, Any], region: str) -> None:
        known = self.existing | {
            handle
            for one in self.living
            if one.region in (region, GLOBAL) or region == GLOBAL
            for handle in (one.identity, one.outputs.get("arn"))
        }
        for text in _texts(inputs):
            reference = text.removesuffix(":*")
            ours = not text.startswith("arn:") or f":{ACCOUNT}:" in text
            if REFERENCE.fullmatch(text) and ours and reference not in known:
                raise self._refusal(f"{schema.token} refers to {text}, which is not in {region}")

    def _refuse_a_duplicate(self, schema: Schema, inputs: Mapping[str, Any], region: str, same: Living | None) -> None:
        key = naming.unique_key(schema, inputs, region)
        for one in self.living:
            if one is not same and key and naming.unique_key(one.schema, one.inputs, one.region) == key:
                raise self._refusal(f"there is already a {schema.token} with {key[2:]} in {one.region}")

    def _refusal(self, reason: str) -> RefusedError:
        self.refusals.append(reason)
        return RefusedError(reason)


# Outputs that move with every update, although the program sets none of them.
MOVING = {
    "aws:ec2/launchTemplate:LaunchTemplate": ("latestVersion",),
    "aws:secretsmanager/secretVersion:SecretVersion": ("versionId",),
    "docker:index/image:Image": ("repoDigest",),
}


def updated(schema: Schema, outputs: dict[str, Any], inputs: dict[str, Any], changed: bool) -> dict[str, Any]:
    """A resource's outputs after an update with these inputs."""
    written = {name: value for name, value in inputs.items() if name in schema.outputs and not name.endswith("Wo")}
    kept = {name: value for name, value in outputs.items() if name not in schema.inputs or name in written}
    computed = {
        name: value for name, value in outputs.items() if name in schema.inputs and schema.outputs[name].required
    }
    moved: dict[str, Any] = {}
    if changed and "latestVersion" in MOVING.get(schema.token, ()):
        moved = {"latestVersion": outputs["latestVersion"] + 1}
        if inputs.get("updateDefaultVersion"):
            moved["defaultVersion"] = moved["latestVersion"]
    if changed and "repoDigest" in MOVING.get(schema.token, ()):
        _, fresh = invented(schema, "", inputs, "", {})
        moved = {"repoDigest": fresh["repoDigest"]}
    return {**computed, **kept, **written, **moved}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
