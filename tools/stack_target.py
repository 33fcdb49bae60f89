"""Which target a stack is for: `indextts2:target` of its settings file."""

from __future__ import annotations

import re

from tools.checkout import Checkout
from tools.failure import SetupError

DEFAULT_TARGET = "local"  # Pulumi.yaml's default of the same key
# Pulumi's own rule for a stack's name, optionally after an organization and a project.
STACK = re.compile(r"(?:[A-Za-z0-9_.-]{1,100}/){0,2}[A-Za-z0-9_.-]{1,100}")
_TARGET_LINE = re.compile(r"""^\s+["']?indextts2:target["']?\s*:\s*(?P<value>.*)$""")
_TARGET = re.compile(r"[a-z][a-z0-9-]*")


def stack_target(checkout: Checkout, stack: str) -> str:
    """The target of `stack`, the default when its file or the key does not exist.

    Raises SetupError for a name that no stack can have and for a target that is no plain word. The YAML is read line by
    line, because no YAML library is there yet when set-up begins; the program itself reads and checks the whole file.
    """
    if not STACK.fullmatch(stack) or ".." in stack:
        raise SetupError(
            f"STACK={stack!r} cannot be the name of a stack: use letters, digits, '-', '_' and '.', for example local"
        )
    file = checkout.stack_file(stack)
    if not file.is_file():
        return DEFAULT_TARGET
    for line in file.read_text(encoding="utf-8").splitlines():
        match = _TARGET_LINE.match(line)
        if not match:
            continue
        value = re.sub(r"\s+#.*$", "", match["value"]).strip().strip("\"'")
        if not _TARGET.fullmatch(value):
            raise SetupError(
                f"{file.name}: indextts2:target is {value!r}; it must be one plain word, for example local"
            )
        return value
    return DEFAULT_TARGET
