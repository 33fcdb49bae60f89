"""The file of the clients' API keys, which the servers read."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.local.machine.layout import Layout, private_directory, read_text, write_private
from components.local.resources.provider import LocalProvider, Props, layout_of, told_plainly
from components.settings import LOCAL_CLIENT


class KeysFileProvider(LocalProvider):
    delete_before_replace = False

    def expected(self, inputs: Props) -> Props:
        return {
            "clients": inputs["clients"],
            "ownLimits": inputs.get("ownLimits"),
            "contained": bool(inputs.get("contained")),
            "intact": True,
        }

    @told_plainly
    def create(self, props: Props) -> CreateResult:
        return CreateResult(str(layout_of(props).keys), write_keys(props, made=None))

    @told_plainly
    def read(self, id_: str, props: Props) -> ReadResult:
        path = layout_of(props).keys
        intact = (
            read_text(path) == keys_text(props["clients"], props["generated"], props.get("ownLimits"))
            and path.stat().st_mode & 0o777 == 0o600
        )
        return ReadResult(id_, {**props, "intact": intact})

    @told_plainly
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        # The key that was made stays while the stack lives: people have put it into their clients.
        named = (_olds.get("clients") or {}).get(LOCAL_CLIENT)
        return UpdateResult(write_keys(_news, made=None if named else _olds.get("generated")))

    @told_plainly
    def delete(self, _id: str, _props: Props) -> None:
        remove_keys(layout_of(_props))


class KeysFile(Resource, module="local", name="KeysFile"):
    """A file of mode 0600, each client's keys and limits. The servers read it again whenever it changes."""

    generated: pulumi.Output[str]
    """The key of the client `local`."""

    def __init__(
        self,
        name: str,
        data_dir: str,
        contained: bool,
        clients: pulumi.Input[dict[str, Any]],
        own_limits: Mapping[str, Any],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """`clients` is the file's content but for the client `local` when it is given no key; `own_limits` are its."""
        secret = pulumi.ResourceOptions(additional_secret_outputs=["generated", "clients"])
        props = {
            "dataDir": data_dir,
            "contained": contained,
            "clients": clients,
            "ownLimits": dict(own_limits),
            "generated": None,
            "intact": None,
        }
        super().__init__(KeysFileProvider(), name, props, pulumi.ResourceOptions.merge(opts, secret))


def write_keys(props: Props, made: str | None) -> Props:
    """Write the file and return the resource's outputs. `made` is the local client's key, made now if None."""
    layout = layout_of(props)
    private_directory(layout.keys.parent)
    clients = props["clients"]
    key = given_key(clients) or made or f"sk-local-{secrets.token_urlsafe(32)}"
    write_private(layout.keys, keys_text(clients, key, props.get("ownLimits")))
    remove_keys(replace(layout, contained=not layout.contained))
    return {**props, "contained": layout.contained, "generated": key, "intact": True}


def remove_keys(layout: Layout) -> None:
    layout.keys.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not there, or the stack's own, which holds more
        layout.keys.parent.rmdir()


def given_key(clients: Mapping[str, Any]) -> str | None:
    """The key that the stack gives the local client."""
    given = clients.get(LOCAL_CLIENT)
    return given["keys"][0] if isinstance(given, Mapping) else given


def keys_text(clients: Mapping[str, Any], local_key: str, own_limits: Mapping[str, Any] | None) -> str:
    local = {"keys": [local_key], **own_limits} if own_limits else local_key
    return json.dumps({LOCAL_CLIENT: local, **clients}, indent=2, sort_keys=True) + "\n"
