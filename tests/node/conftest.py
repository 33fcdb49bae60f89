"""A machine for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.machine import Machine, NoMachineError, why_not_here


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    reason = why_not_here()
    if reason is not None:
        pytest.skip(reason)
    booting = Machine(tmp_path)
    try:
        booting.__enter__()
    except NoMachineError as error:
        pytest.skip(f"systemd does not boot in namespaces here: {error}"[:500])
    try:
        yield booting
    finally:
        booting.__exit__()
