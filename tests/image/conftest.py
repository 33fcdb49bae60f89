"""The real container is built and run only when this folder is asked for by name, as `make test-image` does: it needs
root on Debian, packages from Debian and from the package index, and minutes. The other files here run with the rest.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.container_engine import ContainerEngine, install_packages, why_not_here

HERE = Path(__file__).parent
FIGURES = pytest.StashKey[list[str]]()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path not in {HERE / f"test_{name}container.py" for name in ("", "local_", "weights_")}:
        return None
    asked = [Path(config.invocation_params.dir, argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(path == HERE or HERE in path.parents for path in asked) else True


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[FIGURES]:
        terminalreporter.section("the image, measured")
        terminalreporter.write_line("\n".join(config.stash[FIGURES]))


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the report."""
    return pytestconfig.stash[FIGURES]


@pytest.fixture(scope="session")
def container_engine() -> Iterator[ContainerEngine]:
    """Docker's daemon, private to this run. Skips with the reason where there cannot be one."""
    reason = why_not_here() or install_packages()
    if reason:
        pytest.skip(reason)
    engine = ContainerEngine()
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()
