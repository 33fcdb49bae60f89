"""Executables that the engine takes for the providers' plugins, and the server behind them.

The engine starts `pulumi-resource-PACKAGE`, reads a port from its output and speaks gRPC with it. These executables
ask this process for a port, so that the make-believe account stays in the test's own memory and the SDK is read once.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from tests.engine.standin.account import Account
from tests.engine.standin.provider import Provider

# Asks for a port and prints it; ends with this process or when the engine ends it.
LAUNCHER = """#!{python} -IS
import socket, sys
print("A STAND-IN for the {package} provider: no cloud is asked.", file=sys.stderr)
line = socket.socket(socket.AF_UNIX)
line.connect({address!r})
line.sendall(b"{package}\\n")
print(int(line.recv(16)), flush=True)
line.recv(1)
"""


@contextlib.contextmanager
def serving(account: Account, directory: Path, packages: tuple[str, ...]) -> Iterator[Path]:
    """Within it, the directory that is given stands first on PATH and holds a plugin for every package."""
    binaries = directory / "plugins"
    binaries.mkdir()
    address = directory / "plugins.sock"
    for package in packages:
        launcher = binaries / f"pulumi-resource-{package}"
        launcher.write_text(LAUNCHER.format(python=sys.executable, package=package, address=str(address)))
        launcher.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(address))
        door.listen()
        desk = threading.Thread(target=_answer_the_door, args=(door, account), daemon=True)
        desk.start()
        try:
            yield binaries
        finally:
            door.shutdown(socket.SHUT_RDWR)
            desk.join()


def _answer_the_door(door: socket.socket, account: Account) -> None:
    """A provider with a port of its own for each plugin that the engine starts; it ends with the plugin."""
    callers: list[threading.Thread] = []
    while True:
        try:
            line, _ = door.accept()
        except OSError:
            break
        caller = threading.Thread(target=_serve, args=(line, account), daemon=True)
        caller.start()
        callers.append(caller)
    for caller in callers:
        caller.join()


def _serve(line: socket.socket, account: Account) -> None:
    with line:
        package = line.makefile("rb").readline().decode().strip()
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(package, account), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        line.sendall(str(port).encode())
        # Nothing more is said: the end of the plugin ends the line.
        while line.recv(64):
            pass
        server.stop(None).wait()
