"""What the local target's dynamic providers have in common."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from pulumi.dynamic import DiffResult, ResourceProvider

from components.local.machine.errors import MachineError
from components.local.machine.layout import Layout

Props = dict[str, Any]


class LocalProvider(ResourceProvider):
    """A provider whose resource is wholly described by plain data.

    `expected(inputs)` says what the outputs are once the machine is as the inputs want it; `read` reports what they
    are. Whatever differs - the inputs, or the machine from them - is mended by `update`, in place.
    """

    # For a process that holds a port. What lies in a directory outlives those who use it: it is deleted after them.
    delete_before_replace = True

    # Inputs whose change means another resource; moving a stack's data directory means a new stack beside the old data.
    replaced_by: tuple[str, ...] = ("dataDir",)

    # Nothing secret is in the provider itself, so its serialised form need not be encrypted.
    serialize_as_secret_always = False

    def expected(self, inputs: Props) -> Props:
        raise NotImplementedError

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        expected = self.expected(_news)
        replaces = [key for key in self.replaced_by if (_olds.get(key) or None) != (_news.get(key) or None)]
        changes = any(_olds.get(key) != value for key, value in expected.items())
        return DiffResult(
            changes=changes or bool(replaces), replaces=replaces, delete_before_replace=self.delete_before_replace
        )


def layout_of(props: Props) -> Layout:
    return Layout.at(props["dataDir"], bool(props.get("contained")))


def told_plainly(method: Callable[..., Any]) -> Callable[..., Any]:
    """A provider's method whose `MachineError` reaches the person as its text; other errors keep their traceback."""

    @functools.wraps(method)
    def wrapped(*arguments: Any) -> Any:
        sys.tracebacklimit = 1000
        try:
            return method(*arguments)
        except MachineError:
            # The engine prints `traceback.format_exc()` of what a provider raises.
            sys.tracebacklimit = 0
            raise

    return wrapped


def say(text: str) -> None:
    """Tell the person at the CLI, which shows what a provider writes to its standard error."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
