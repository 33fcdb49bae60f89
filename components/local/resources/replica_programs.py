"""What each replica runs: a process of this machine's own, or a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.local.machine import containers, programs
from components.local.machine.containers import Confinement
from components.local.machine.layout import Layout
from components.local.machine.programs import Program
from components.local.resources.provider import Props

# Above the server's own SPEECH_DRAIN_SECONDS, so that it ends by itself.
STOP_SECONDS = 130


def replica_programs(layout: Layout, inputs: Props) -> dict[str, str]:
    """Program name -> its configuration text, in the replicas' order. `inputs` are those of `Replicas`."""
    container = inputs.get("container")
    made = [
        contained(layout, name, inputs["environment"], container) if container else uncontained(layout, name, inputs)
        for name in programs.REPLICAS[: int(inputs["replicas"])]
    ]
    return {program.name: programs.section(program, layout) for program in made}


def uncontained(layout: Layout, name: str, inputs: Props) -> Program:
    """A server that is a process of this machine's own."""
    environment = {
        **inputs["environment"],
        "SPEECH_LISTEN": f"unix:{programs.socket_of(layout, name)}",
        "SPEECH_REPLICA": name,
        "SPEECH_WORK_DIR": str(layout.run / "work" / name),
    }
    command = (inputs["python"], "-m", "speech_server", "serve")
    return Program(name, command, environment, stop_seconds=STOP_SECONDS, priority=10)


def contained(layout: Layout, name: str, told: Mapping[str, str], container: Mapping[str, Any]) -> Program:
    """A server in a container, which has a socket in a folder of its own."""
    environment = {
        **told,
        "SPEECH_LISTEN": f"unix:{programs.contained_socket(layout, name)}",
        "SPEECH_REPLICA": name,
        "SPEECH_WORK_DIR": "/work",
    }
    command = containers.command(
        container["docker"],
        containers.name_of(layout, name),
        Confinement.of(container["confinement"]),
        environment,
        programs.socket_folder(layout, name),
    )
    return Program(name, command, {**environment, **container["daemon"]}, stop_seconds=STOP_SECONDS, priority=10)
