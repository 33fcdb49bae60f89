"""The make-believe account: the resources that live in it, and what it refuses.

It outlives the plugin processes, which the engine starts and ends with each command.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.engine.standin import naming
from tests.engine.standin.vendor import GLOBAL
from tests.engine.standin.vendors import vendor_of
from tests.invented import ACCOUNT, all_tags, invented
from tests.sdk_schema import Schema


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
            outputs = {**vendor_of(schema.token).read_back.get(schema.token, {}), **outputs}
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
            vendor = vendor_of(token)
            for other in self.living:
                if other is not one and token.startswith(vendor.held) and _names(other, one):
                    raise self._refusal(f"{identity} is still used by {other.logical_name} ({other.token})")
            guard, why = vendor.guarded.get(token, ("", ""))
            if _inner(one.inputs, guard):
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
        vendor = vendor_of(schema.token)
        near = [one for one in self.living if one.region in (region, GLOBAL) or region == GLOBAL]
        known = self.existing | {one.identity for one in near}
        known |= {one.outputs.get(handle) for one in near for handle in vendor.handles}
        for text in _texts(inputs):
            reference = text.removesuffix(":*")
            if vendor.reference.fullmatch(text) and reference not in known:
                raise self._refusal(f"{schema.token} refers to {text}, which is not in {region}")
        for name, token in vendor.by_name.get(schema.token, {}).items():
            given = inputs.get(name)
            if given is not None and given not in {one.identity for one in near if one.token == token}:
                raise self._refusal(f"{schema.token}: there is no {token} {given} in {region}")

    def _refuse_a_duplicate(self, schema: Schema, inputs: Mapping[str, Any], region: str, same: Living | None) -> None:
        key = naming.unique_key(schema, inputs, region)
        for one in self.living:
            if one is not same and key and naming.unique_key(one.schema, one.inputs, one.region) == key:
                raise self._refusal(f"there is already a {schema.token} with {key[2:]} in {one.region}")

    def _refusal(self, reason: str) -> RefusedError:
        self.refusals.append(reason)
        return RefusedError(reason)


def updated(schema: Schema, outputs: dict[str, Any], inputs: dict[str, Any], changed: bool) -> dict[str, Any]:
    """A resource's outputs after an update with these inputs."""
    written = {name: value for name, value in inputs.items() if name in schema.outputs and not name.endswith("Wo")}
    kept = {name: value for name, value in outputs.items() if name not in schema.inputs or name in written}
    computed = {
        name: value for name, value in outputs.items() if name in schema.inputs and schema.outputs[name].required
    }
    moved: dict[str, Any] = {}
    moving = vendor_of(schema.token).moving.get(schema.token, ())
    if changed and "latestVersion" in moving:
        moved = {"latestVersion": outputs["latestVersion"] + 1}
        if inputs.get("updateDefaultVersion"):
            moved["defaultVersion"] = moved["latestVersion"]
    if changed and "latestVersionNumber" in moving:
        moved = {"latestVersionNumber": outputs["latestVersionNumber"] + 1}
        if inputs.get("updateDefaultVersionNumber"):
            moved["defaultVersionNumber"] = moved["latestVersionNumber"]
    if changed and "repoDigest" in moving:
        _, fresh = invented(schema, "", inputs, "", {})
        moved = {"repoDigest": fresh["repoDigest"]}
    return {**computed, **kept, **written, **moved}


def _names(other: Living, one: Living) -> bool:
    """Whether `other` refers to `one`: by its id, or, where ids are only names, in a property that names such a one."""
    vendor = vendor_of(one.token)
    if not vendor.by_name or vendor.reference.fullmatch(one.identity):
        return one.identity in _texts(other.inputs)
    naming_it = vendor.by_name.get(other.token, {})
    return any(token == one.token and other.inputs.get(name) == one.identity for name, token in naming_it.items())


def _inner(values: Mapping[str, Any], path: str) -> Any:
    """What stands at `path` (`config.enabled`), or None."""
    found: Any = values
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
