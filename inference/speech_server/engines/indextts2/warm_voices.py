"""What the model learned of the voices that were used last, within a budget of memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


class WarmVoices:
    """Least recently used goes first. A value is whatever the model keeps of a voice: tensors, tuples of them."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._values: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self.used_bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> Any | None:
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: str, value: Any) -> None:
        """A value larger than the whole budget is not kept."""
        self._drop(key)
        size = bytes_of(value)
        self._values[key] = (value, size)
        self.used_bytes += size
        while self._values and self.used_bytes > self._budget_bytes:
            self._drop(next(iter(self._values)))

    def clear(self) -> None:
        self._values.clear()
        self.used_bytes = 0

    def _drop(self, key: str) -> None:
        _, size = self._values.pop(key, (None, 0))
        self.used_bytes -= size


def bytes_of(value: Any) -> int:
    """The memory of tensors and arrays, and of what holds them."""
    if isinstance(value, tuple | list):
        return sum(map(bytes_of, value))
    if isinstance(value, dict):
        return sum(map(bytes_of, value.values()))
    return int(getattr(value, "nbytes", 0))
