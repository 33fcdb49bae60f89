"""A container of the image under test, confined as docs/image.md tells to run it."""

from __future__ import annotations

import json
import os
import secrets
import socket
from typing import Any

import httpx

from tests.image.container_engine import ContainerEngine, until

UID = 10001
MEMORY = 512 << 20
PIDS = 64
# The names of what is installed, as an index writes them
INSTALLED = (
    "import importlib.metadata as m, re; "
    "print(*{re.sub('[-_.]+', '-', found.name).lower() for found in m.distributions()})"
)
CONFINEMENT = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp", "--tmpfs=/work")


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


class SpeechContainer:
    """Running and ready when made. The daemon has no network of its own: the server listens on the host's loopback."""

    def __init__(
        self,
        engine: ContainerEngine,
        image: str,
        *mounts: str,
        memory: int = MEMORY,
        pids: int = PIDS,
        ready_within: float = 120.0,
        **settings: str,
    ) -> None:
        self.engine = engine
        self.image = image
        self.key = secrets.token_urlsafe(24)
        self.name = f"speech-{secrets.token_hex(4)}"
        self.address = f"127.0.0.1:{free_port()}"
        self.keys = engine.folder / self.name
        self.write_key(self.key)
        environment = {"SPEECH_LISTEN": self.address, **settings}
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        volumes = [f"--volume={mount}" for mount in (f"{self.keys}:/run/indextts2/keys:ro", *mounts)]
        limits = [f"--memory={memory}", f"--pids-limit={pids}"]
        engine.docker(
            "run",
            "--detach",
            "--network=host",
            f"--name={self.name}",
            *CONFINEMENT,
            *limits,
            *variables,
            *volumes,
            image,
        )
        until(self.is_ready, ready_within)

    def write_key(self, key: str) -> None:
        """As docs/image.md tells: readable by the container's user and nobody else; replaced, not written into."""
        self.keys.mkdir(mode=0o700, exist_ok=True)
        new = self.keys / "keys.new"
        new.write_text(json.dumps({"tester": key}))
        new.chmod(0o600)
        for path in (self.keys, new):
            os.chown(path, UID, UID)
        new.replace(self.keys / "keys.json")

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=f"http://{self.address}", headers=headers, timeout=120, trust_env=False)

    def generate(self, text: str, **fields: object) -> httpx.Response:
        with self.client() as client:
            return client.post("/generate", json={"text": text, **fields})

    def metric(self, sample: str) -> float:
        with self.client() as client:
            lines = client.get("/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample + " ")), 0.0)

    def is_ready(self) -> bool:
        assert self.state()["Running"], self.engine.docker("logs", self.name)
        try:
            return httpx.get(f"http://{self.address}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def state(self) -> dict[str, Any]:
        return json.loads(self.engine.docker("inspect", "--format={{json .State}}", self.name))

    def inside(self, *command: str) -> str:
        return self.engine.docker("exec", self.name, *command)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.engine.docker("logs", self.name).splitlines()]

    def remove(self) -> None:
        self.engine.docker("rm", "--force", self.name)
