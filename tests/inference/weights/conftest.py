"""A set of weights, a store that holds it, and hubs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from speech_server.weights.place import WeightsPlace
from tests.emulator.conftest import emulator  # noqa: F401 - a fixture
from tests.inference.storage.conftest import oss, oss_url, s3_url  # noqa: F401 - fixtures
from tests.inference.weights.hub_server import HubState, hub_server
from tests.inference.weights.material import hub_repos, place_at, push_set, write_set

Hubs = Callable[..., HubState]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(a folder of weights, a store's folder that holds them as `set`); no test changes either."""
    folder, store = write_set(tmp_path_factory.mktemp("weights")), tmp_path_factory.mktemp("store")
    place = place_at(store)
    push_set(place, folder)
    place.close()
    return folder, store


@pytest.fixture
def place(made: tuple[Path, Path]) -> Iterator[WeightsPlace]:
    found = place_at(made[1])
    yield found
    found.close()


@pytest.fixture
def hubs() -> Iterator[Hubs]:
    """`hubs("2.5")`: a Hugging Face with that version and all auxiliary models; `modelscope=True`: a ModelScope."""
    with ExitStack() as stack:
        yield lambda version="2.5", modelscope=False: stack.enter_context(
            hub_server(HubState(hub_repos(version, modelscope)))
        )
