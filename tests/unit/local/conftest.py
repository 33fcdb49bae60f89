"""What a provider's method leaves behind in its process, and a test must not."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def tracebacks_as_before() -> Iterator[None]:
    """A provider that tells its error plainly switches tracebacks off, which others in this process build upon."""
    yield
    if hasattr(sys, "tracebacklimit"):
        del sys.tracebacklimit
