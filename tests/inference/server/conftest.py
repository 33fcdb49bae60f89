"""One server for the tests that leave it as they found it, and a factory for those that do not."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.inference.server.running_server import RunningServer

StartServer = Callable[..., RunningServer]


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    server = RunningServer(tmp_path_factory.mktemp("shared"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """For tests that hurt the engine and leave the server standing."""
    server = RunningServer(tmp_path_factory.mktemp("module"))
    yield server
    server.kill()


@pytest.fixture
def start_server(tmp_path: Path) -> Generator[StartServer]:
    started: list[RunningServer] = []

    def start(**settings: object) -> RunningServer:
        started.append(RunningServer(tmp_path, **settings))
        return started[-1]

    yield start
    for server in started:
        server.kill()
