"""The server replicas of the stack."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.local.machine import containers, programs
from components.local.machine.errors import MachineError
from components.local.machine.layout import Layout, private_directory
from components.local.machine.supervisor import POLL_SECONDS, Supervisor
from components.local.machine.unix_http import request
from components.local.resources.daemon import fingerprint
from components.local.resources.provider import LocalProvider, Props, layout_of, say, told_plainly
from components.local.resources.replica_programs import replica_programs

# The server's own SPEECH_LOAD_SECONDS: 131 s were measured for IndexTTS2 v2 in fp32 on a T4 (its issue tracker).
READY_SECONDS = 900
# A replica whose process or engine ends again and again is not going to be ready: its own words are worth more now.
FAILING_SECONDS = 10
FAILING_STARTS = 4


@dataclass(frozen=True)
class Change:
    """What turns the replicas that are configured into those that are wanted, in this order."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class ReplicasProvider(LocalProvider):
    def expected(self, inputs: Props) -> Props:
        wanted = replica_programs(layout_of(inputs), inputs)
        return {"configuration": fingerprint("".join(wanted.values())), "ready": f"{len(wanted)} of {len(wanted)}"}

    @told_plainly
    def create(self, props: Props) -> CreateResult:
        try:
            apply(props)
        except MachineError:
            remove_all(layout_of(props), props)
            raise
        return CreateResult(str(layout_of(props).run / "conf.d"), {**props, **self.expected(props)})

    @told_plainly
    def read(self, id_: str, props: Props) -> ReadResult:
        layout = layout_of(props)
        supervisor = Supervisor(layout)
        found = replicas_only(supervisor.configured())
        names = sorted({*found, *replica_programs(layout, props)})
        ready = sum(is_ready(programs.socket_of(layout, name)) for name in names)
        texts = "".join(found[name] for name in sorted(found))
        return ReadResult(id_, {**props, "configuration": fingerprint(texts), "ready": f"{ready} of {len(names)}"})

    @told_plainly
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        apply(_news)
        return UpdateResult({**_news, **self.expected(_news)})

    @told_plainly
    def delete(self, _id: str, _props: Props) -> None:
        remove_all(layout_of(_props), _props)


class Replicas(Resource, module="local", name="Replicas"):
    """N speech servers, each with an engine process of its own, on Unix sockets.

    `container`: "docker" (the program), "daemon" (the variables that say which one it asks) and "confinement" (that
    class's fields); None where servers are processes of the machine's own.
    """

    def __init__(
        self,
        name: str,
        data_dir: str,
        replicas: int,
        python: str,
        environment: pulumi.Input[Mapping[str, str]],
        container: pulumi.Input[Mapping[str, Any]] | None,
        opts: pulumi.ResourceOptions,
    ) -> None:
        props = {
            "dataDir": data_dir,
            "replicas": replicas,
            "environment": environment,
            "python": python,
            "container": container,
            "configuration": None,
            "ready": None,
        }
        super().__init__(ReplicasProvider(), name, props, opts)


def apply(props: Props) -> None:
    """Make the replicas as wanted without losing a request: new ones first, then one at a time, then the removals.

    A change that does not get ready is taken back, and the replicas that were there speak on.
    """
    layout = layout_of(props)
    supervisor = Supervisor(layout)
    wanted = replica_programs(layout, props)
    configured = replicas_only(supervisor.configured())
    change = plan(configured, wanted, healthy(supervisor, layout, configured))

    for name in change.added:
        start(supervisor, layout, name, wanted[name])
    for name in change.added:
        wait_until_ready(supervisor, layout, name)
    for name in change.changed:
        say(f"{name}: starts again with its new settings")
        start(supervisor, layout, name, wanted[name])
        try:
            wait_until_ready(supervisor, layout, name)
        except MachineError:
            if configured[name] != wanted[name]:
                start(supervisor, layout, name, configured[name])
            raise
    remove(supervisor, layout, change.removed, props)


def start(supervisor: Supervisor, layout: Layout, name: str, text: str) -> None:
    """With the folders that it needs, and the socket where the load balancer looks, however the server runs."""
    private_directory(layout.run / "work" / name)
    socket = programs.socket_of(layout, name)
    in_container = containers.RUN.name in text
    if in_container or socket.is_symlink():
        supervisor.stop_program(name)
        socket.unlink(missing_ok=True)
    if in_container:
        private_directory(programs.socket_folder(layout, name))
        socket.symlink_to(programs.contained_socket(layout, name))
    supervisor.apply(name, text)


def remove(supervisor: Supervisor, layout: Layout, names: tuple[str, ...], props: Props) -> None:
    """With the containers that a program may have left behind."""
    supervisor.remove(*names)
    if props.get("container"):
        containers.remove(props["container"]["docker"], [containers.name_of(layout, name) for name in names])


def plan(configured: Mapping[str, str], wanted: Mapping[str, str], healthy: frozenset[str]) -> Change:
    """What to do to get from the configured programs to the wanted ones, given which of them are well."""
    return Change(
        added=tuple(name for name in wanted if name not in configured),
        changed=tuple(
            name for name in wanted if name in configured and (configured[name] != wanted[name] or name not in healthy)
        ),
        removed=tuple(name for name in configured if name not in wanted),
    )


def replicas_only(configured: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in configured.items() if name in programs.REPLICAS}


def healthy(supervisor: Supervisor, layout: Layout, names: Mapping[str, str]) -> frozenset[str]:
    states = supervisor.states()
    return frozenset(
        name for name in names if name in states and states[name].running and is_ready(programs.socket_of(layout, name))
    )


def is_ready(socket: Path) -> bool:
    return readiness(socket) is None


def readiness(socket: Path) -> str | None:
    """None when the replica can speak, else the error code of its /readyz, or what the connection failed with."""
    try:
        status, body = request(socket, "GET", "/readyz")
        return None if status == 200 else str(json.loads(body)["error"]["code"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        return repr(error)


def wait_until_ready(supervisor: Supervisor, layout: Layout, name: str) -> None:
    """Return once the replica can speak. Raises `MachineError` when it keeps failing or takes too long."""
    began = time.monotonic()
    failing_since = None
    processes = set()
    while (reason := readiness(programs.socket_of(layout, name))) is not None:
        state = supervisor.states().get(name)
        if state is None:
            raise MachineError(f"{name} is not known to the process supervisor; run `make up` again")
        now = time.monotonic()
        if failing_since is None and (state.failing or reason == "engine_failed"):
            failing_since = now
        # One that ends after more than a second counts as running until then: a slow machine, a container.
        processes |= {state.pid} - {0}
        failing_long = failing_since is not None and now - failing_since > FAILING_SECONDS
        if failing_long or len(processes) >= FAILING_STARTS:
            raise MachineError(f"{name} fails again and again ({state.description}, {reason}); {supervisor.tail(name)}")
        if now - began > READY_SECONDS:
            raise MachineError(f"{name} is not ready after {READY_SECONDS} s ({reason}); {supervisor.tail(name)}")
        time.sleep(POLL_SECONDS)


def remove_all(layout: Layout, props: Props) -> None:
    supervisor = Supervisor(layout)
    remove(supervisor, layout, tuple(replicas_only(supervisor.configured())), props)
