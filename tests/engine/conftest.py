"""The stacks of these tests: brought up once a module, because an update of the real engine takes seconds."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.stack import LocalStack


@pytest.fixture(scope="module")
def fresh() -> Iterator[LocalStack]:
    """A stack that is configured and not yet up."""
    assert shutil.which("pulumi"), "the Pulumi CLI is not on PATH; run `make test`, or `. tools/activate` first"
    # Not below pytest's own directory: its long path would put every socket elsewhere.
    stack = LocalStack(Path(tempfile.mkdtemp(prefix="indextts2-test-")))
    yield stack
    stack.remove()


@pytest.fixture(scope="module")
def stack(fresh: LocalStack) -> LocalStack:
    """A stack that is up."""
    fresh.up()
    return fresh
