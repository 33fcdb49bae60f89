"""The process supervisor of one stack: start it, change what it runs, end it.

One configuration file a program in run/conf.d/; the files are the truth, and the daemon is told to follow them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil

from components.local.machine import programs
from components.local.machine.errors import MachineError
from components.local.machine.layout import Layout, private_directory, read_text, write_private
from components.local.machine.unix_http import UnixTransport

POLL_SECONDS = 0.05
START_SECONDS = 30
# An environment variable that marks every process of a stack, to find what a killed supervisor left behind. A person's
# shell that stands in the directory does not have it.
MARK = "INDEXTTS2_RUN"
# What the services need of the caller's environment. The rest - cloud credentials, Pulumi's passphrase - is not theirs.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class State:
    """How a program fares."""

    name: str
    running: bool
    failing: bool
    """It ended right after its start and is to be started again."""
    description: str
    pid: int


class Supervisor:
    """The supervisor of the stack at `layout`. Every method may raise `MachineError`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def running(self) -> bool:
        try:
            self._call("getPID")
        except MachineError:
            return False
        return True

    def start(self) -> None:
        """Start the daemon unless it runs. What a killed one left behind is ended first."""
        layout = self.layout
        for directory in (layout.data, layout.logs, layout.run, layout.run / "conf.d", layout.sockets):
            private_directory(directory)
        write_private(self._config, programs.daemon_config(layout))
        if self.running():
            return
        end(self.leftovers())
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)]
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment[MARK] = str(layout.run)
        # It must not hold on to the caller's pipes: the CLI would wait for them to be closed.
        done = subprocess.run(
            command,
            cwd=layout.run,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            start_new_session=True,
            umask=0o077,  # its own setting comes too late for its log file
            check=False,
        )
        if done.returncode:
            raise MachineError(f"the process supervisor did not start: {done.stderr.strip() or done.stdout.strip()}")
        wait(self.running, START_SECONDS, lambda: f"the process supervisor does not answer; {self.tail('supervisord')}")

    def stop(self) -> None:
        """End the daemon and every process of the stack, each in its own time; what stays on is killed."""
        processes = self.leftovers()
        if self.running():
            with contextlib.suppress(MachineError):
                self._call("shutdown")
            longest = max((process_stop_seconds(text) for text in self.configured().values()), default=0)
            psutil.wait_procs(processes, timeout=longest + START_SECONDS)
        end(self.leftovers())
        for path in self.layout.sockets.glob("*.sock*"):
            path.unlink(missing_ok=True)

    def configured(self) -> dict[str, str]:
        """Program name -> the text of its configuration file."""
        return {path.stem: read_text(path) or "" for path in sorted((self.layout.run / "conf.d").glob("*.conf"))}

    def states(self) -> dict[str, State]:
        """Program name -> how it fares; empty when the daemon does not run."""
        try:
            found = self._call("getAllProcessInfo")
        except MachineError:
            return {}
        return {
            info["name"]: State(
                info["name"],
                info["statename"] == "RUNNING",
                info["statename"] in ("BACKOFF", "FATAL"),
                f"{info['statename']} {info['description'] or info['spawnerr']}".strip(),
                info["pid"],
            )
            for info in found
        }

    def apply(self, name: str, text: str) -> None:
        """Make the program run with this configuration; one that runs with another is stopped first."""
        write_private(self._program_file(name), text)
        self._call("reloadConfig")
        if name in self.states():
            self._stop(name)
            self._call("removeProcessGroup", name)
        self._call("addProcessGroup", name)

    def stop_program(self, name: str) -> None:
        """Stop the program in its own time, if it runs; it is started again by `apply`."""
        if name in self.states():
            self._stop(name)

    def remove(self, *names: str) -> None:
        """Stop the programs, side by side and each in its own time, and forget them."""
        known = [name for name in names if name in self.states()]
        self._stop(*known)
        for name in names:
            self._program_file(name).unlink(missing_ok=True)
        if known:
            self._call("reloadConfig")
        for name in known:
            self._call("removeProcessGroup", name)

    def tail(self, name: str) -> str:
        """The end of a program's log, for an error's text."""
        path = programs.log_file(self.layout, name)
        lines = (read_text(path) or "").splitlines()[-15:]
        return "\n".join([f"the end of {path}:", *(f"    {line[:500]}" for line in lines)]) if lines else f"see {path}"

    def leftovers(self) -> list[psutil.Process]:
        """Every process of the stack."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == str(self.layout.run):
                    found.append(process)
        return found

    @property
    def _config(self) -> Path:
        return self.layout.run / "supervisord.conf"

    def _program_file(self, name: str) -> Path:
        return self.layout.run / "conf.d" / f"{name}.conf"

    def _stop(self, *names: str) -> None:
        for name in names:
            with contextlib.suppress(MachineError):  # it may be down already
                self._call("stopProcess", name, False)
        seconds = max((process_stop_seconds(self.configured().get(name, "")) for name in names), default=0)

        def stopping() -> list[str]:
            return [name for name, state in self.states().items() if name in names and state.pid]

        wait(
            lambda: not stopping(),
            seconds + START_SECONDS,
            lambda: "\n".join(f"{name} does not stop; {self.tail(name)}" for name in stopping()),
        )

    def _call(self, method: str, *arguments: object) -> Any:
        transport = UnixTransport(programs.supervisor_socket(self.layout), timeout=10)
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
                return getattr(server.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise MachineError(f"the process supervisor refused {method} {arguments}: {fault.faultString}") from None
        except (OSError, HTTPException, xmlrpc.client.ProtocolError) as error:
            raise MachineError(f"the process supervisor does not answer ({error}); run `make up`") from None


def process_stop_seconds(text: str) -> int:
    """`stopwaitsecs` of a program's configuration text."""
    return max([int(line.partition("=")[2]) for line in text.splitlines() if line.startswith("stopwaitsecs=")] or [0])


def end(processes: list[psutil.Process]) -> None:
    """End these processes: SIGTERM, and SIGKILL for what is there after 10 seconds."""
    for send, seconds in ((psutil.Process.terminate, 10), (psutil.Process.kill, 10)):
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                send(process)
        processes = psutil.wait_procs(processes, timeout=seconds)[1]


def wait(condition: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Return once `condition` holds; raise `MachineError(otherwise())` when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise MachineError(otherwise())
        time.sleep(POLL_SECONDS)
