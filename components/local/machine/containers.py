"""Servers in containers: the docker commands that run, find and remove them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.local.machine.errors import MachineError
from components.local.machine.layout import Layout

RUN = Path(__file__).with_name("run_container.py")
ANSWER_SECONDS = 60
# What of the caller's environment says which daemon is meant.
WHICH_DAEMON = ("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT")


@dataclass(frozen=True)
class Confinement:
    """What a container may have. `readable` and `writable`: folders, which it sees under their own paths."""

    image: str
    user: str
    """UID:GID, that of the stack's folder: nobody else can read the keys."""
    network: str
    memory: str
    processes: int
    gpus: bool
    readable: tuple[str, ...]
    writable: tuple[str, ...]

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Confinement:
        """From its fields as JSON has them: lists, and numbers of any kind."""
        return cls(
            image=fields["image"],
            user=fields["user"],
            network=fields["network"],
            memory=fields["memory"],
            processes=int(fields["processes"]),
            gpus=fields["gpus"],
            readable=tuple(fields["readable"]),
            writable=tuple(fields["writable"]),
        )


def problem(environment: Mapping[str, str] = os.environ) -> str | None:
    """Why no container can be run here, and what to do; None when Docker answers."""
    docker = shutil.which("docker", path=environment.get("PATH", os.defpath))
    if docker is None:
        return "docker is not on PATH; install Docker Engine, or set indextts2:runtime to process"
    host = environment.get("DOCKER_HOST", "unix:")
    if not host.startswith("unix:"):
        return f"DOCKER_HOST is {host!a}; this machine's own folders are mounted, so unset it or name a unix: socket"
    client = _ask([docker, "--version"])
    if "podman" in client.lower():
        return "docker is podman here, with which this was never run; install Docker Engine, or set runtime to process"
    answer = _ask([docker, "version", "--format", "{{.Server.Version}}"])
    if answer[:1].isdigit():
        return None
    return (
        f"Docker does not answer ({answer[-300:]!a}); start it, and let this user use it: a member of the group docker "
        "can do on this machine what root can"
    )


def name_of(layout: Layout, replica: str) -> str:
    """The container's name: of this stack and no other on the machine."""
    stack = hashlib.sha256(os.fsencode(layout.run)).hexdigest()[:12]
    return f"indextts2-{stack}-{replica}"


def command(
    docker: str, name: str, confinement: Confinement, environment: Mapping[str, str], socket_folder: Path
) -> tuple[str, ...]:
    """The program that keeps one server's container running for as long as it runs itself, and ends it when it is told
    to end. The variables' values come from its own environment: in a command line everybody could read them.
    """
    mounts = [
        *(f"type=bind,source={path},target={path},readonly" for path in confinement.readable),
        *(f"type=bind,source={path},target={path}" for path in (*confinement.writable, str(socket_folder))),
    ]
    return (
        sys.executable,
        str(RUN),
        docker,
        name,
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--user={confinement.user}",
        f"--network={confinement.network}",
        f"--memory={confinement.memory}",
        f"--pids-limit={confinement.processes}",
        # Memory of the container's limit. /work holds callers' reference voices.
        "--tmpfs=/tmp:rw,nosuid,nodev,size=256m,mode=1777",
        "--tmpfs=/work:rw,nosuid,nodev,noexec,size=1g,mode=1777",
        *(["--gpus=all"] if confinement.gpus else []),
        *(f"--mount={mount}" for mount in mounts),
        *(f"--env={variable}" for variable in sorted(environment)),
        confinement.image,
        "serve",
    )


def remove(docker: str, names: Sequence[str]) -> None:
    """End these containers, if they are there. A program that was killed leaves its container behind."""
    if names:
        _ask([docker, "rm", "--force", *names])


def build(docker: str, context: Path, target: str, tag: str, arguments: Mapping[str, str], network: str) -> str:
    """The id of the image. Raises `MachineError` with docker's last words."""
    given = [f"--build-arg={name}={value}" for name, value in sorted(arguments.items()) if value]
    host = ["--network=host"] if network == "host" else []
    _do([docker, "build", f"--target={target}", f"--tag={tag}", *host, *given, str(context)], f"build {context}")
    return str(image_id(docker, tag))


def pull(docker: str, reference: str) -> str:
    """The id of a ready image, fetched unless it is here. Raises `MachineError`."""
    if image_id(docker, reference) is None:
        _do([docker, "pull", "--quiet", reference], f"pull {reference}")
    return str(image_id(docker, reference))


def image_id(docker: str, reference: str) -> str | None:
    """`sha256:...` of an image that is here."""
    answer = _ask([docker, "image", "inspect", "--format={{.Id}}", reference])
    return answer if answer.startswith("sha256:") else None


def remove_image(docker: str, reference: str) -> None:
    """Unless a container of somebody's still uses it."""
    _ask([docker, "image", "rm", reference])


def _ask(arguments: list[str]) -> str:
    """What docker prints, both streams; "" when it cannot be run."""
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _do(arguments: list[str], what: str) -> None:
    try:
        done = subprocess.run(
            arguments,
            env={**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise MachineError(f"{arguments[0]} does not run ({error.strerror}); install Docker Engine") from None
    if done.returncode:
        lines = "\n".join(f"    {line[:500]}" for line in done.stdout.splitlines()[-20:])
        raise MachineError(f"docker could not {what} (status {done.returncode}):\n{lines}")
