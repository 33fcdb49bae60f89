"""Several servers behind the load balancer of a local stack: real processes that may be killed and come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import psutil

from components.local.machine import programs
from components.local.machine.caddyfile import caddyfile
from components.local.machine.layout import Layout, private_directory, write_private
from tests.inference.server.running_server import ROOT, RunningServer, until
from tests.inference.service.identity_engine import ENGINE

HOST = "127.0.0.1"


class Stack:
    """`replicas` servers with one store and one queue behind Caddy at `url`; `keys` as in the keys file.

    A server that ended is started again at once, as a supervisor does it.
    """

    def __init__(self, folder: Path, replicas: int, keys: object, **settings: object) -> None:
        self.folder = folder
        self.layout = Layout.at(folder)
        for place in (self.layout.run, self.layout.logs, self.layout.sockets):
            private_directory(place)
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.results = self.layout.objects / "results"
        write_private(self.layout.keys, json.dumps(keys))
        self._settings = {
            "engine": ENGINE,
            "api_keys_file": self.layout.keys,
            "store": f"file://{self.layout.objects}",
            "queue": f"sqlite:///{self.layout.queue}",
            "public_url": self.url,
            "webhook_loopback": "true",
            "drain_seconds": 20,
            **settings,
        }
        self._orphans: list[psutil.Process] = []
        self._names = programs.REPLICAS[:replicas]
        self.servers: list[RunningServer] = []
        self._caddy: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when every server is ready and Caddy knows it."""
        for name in self._names:
            self.servers.append(self._start(name))
        self._caddy = self._start_caddy()
        for server in self.servers:
            until(server.is_ready, 90)
        until(self._answers, 60)

    def _start(self, name: str) -> RunningServer:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        address = programs.socket_of(self.layout, name)
        own = {"listen": f"unix:{address}", "replica": name, "work_dir": folder / "work"}
        server = RunningServer(folder, ready=False, **{**self._settings, **own})
        server.socket = address
        return server

    def _start_caddy(self) -> subprocess.Popen[bytes]:
        write_private(self.layout.run / "Caddyfile", caddyfile(self.layout, HOST, self.port))
        program = programs.proxy(self.layout)
        with (self.layout.logs / "caddy.log").open("w") as log:
            return subprocess.Popen(
                program.command, env={**os.environ, **program.environment}, stderr=log, stdout=log, cwd=self.layout.run
            )

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz").status_code == 200
        return False

    def kill_engine(self, number: int) -> bool:
        """Whether there was one to kill."""
        for engine in self._children(number):
            with contextlib.suppress(psutil.NoSuchProcess):
                engine.kill()
                return True
        return False

    def kill_server(self, number: int) -> None:
        self._orphans += self._children(number)
        self.servers[number].kill()
        self._start_again(number)

    async def drain_server(self, number: int) -> int:
        """Have it end as soon as it is ready, and give its exit status."""
        process = self.servers[number].process
        await self.is_up(number)
        process.send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(process.wait, 60)
        self._start_again(number)
        return status

    async def order_drain(self, number: int, *options: str) -> int:
        """`indextts2 node drain` with these options; the command's exit status. Without --stay the server has ended
        then, and is started again.
        """
        server = self.servers[number]
        status = await self.node_command(number, "drain", *options)
        if "--stay" not in options:
            status += await asyncio.to_thread(server.process.wait, 60)
            self._start_again(number)
        return status

    async def node_command(self, number: int, *arguments: str) -> int:
        """`indextts2 node ...` on the machine of this server; its exit status."""
        folder = self.folder / self._names[number] / "work"
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "speech_server.node", *arguments, "--work-dir", str(folder)),
            env={**os.environ, "PYTHONPATH": str(ROOT / "inference")},
            stdout=asyncio.subprocess.DEVNULL,
        )
        return await command.wait()

    async def is_up(self, number: int) -> None:
        """Returns when its engine is warm."""
        await asyncio.to_thread(until, lambda: self._is_up(number), 60)

    def _is_up(self, number: int) -> bool:
        """As its log has it: the socket may still be that of the server before."""
        server = self.servers[number]
        lines = server.log()
        began = [place for place, line in enumerate(lines) if line.get("pid") == server.process.pid]
        return bool(began) and any(line["event"] == "engine_ready" for line in lines[began[0] :])

    def _start_again(self, number: int) -> None:
        self.servers[number] = self._start(self._names[number])

    def _children(self, number: int) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.servers[number].process.pid).children(recursive=True)
        return []

    def engines_left_behind(self) -> list[psutil.Process]:
        """Engines of killed servers that still run."""
        return [process for process in self._orphans if process.is_running() and process.status() != "zombie"]

    def log(self, *events: str) -> list[dict[str, Any]]:
        """The lines of all servers with one of `events`."""
        return [line for server in self.servers for line in server.log() if line["event"] in events]

    def stored_results(self) -> list[Path]:
        """Files that are objects: one that a killed server was writing has a # in its name, and no reader sees it."""
        return [path for path in self.results.rglob("*") if path.is_file() and not re.match(r"\.|.*#\d+$", path.name)]

    def stop(self) -> None:
        for server in self.servers:
            server.kill()
        if self._caddy is not None:
            self._caddy.kill()
            self._caddy.wait(60)


@contextlib.contextmanager
def running_stack(folder: Path, replicas: int, keys: object, **settings: object) -> Generator[Stack]:
    stack = Stack(folder, replicas, keys, **settings)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


async def until_true(condition: Any, seconds: float, what: str) -> None:
    """`condition()`, asked a few times a second, from inside an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
