"""A stand-in for torch, as far as the engine and the strict models use it. `simulated` is its one GPU, and its faults.

Arrays are numpy's. Gradients are a switch that the models look at, memory is a number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np


class OutOfMemoryError(RuntimeError):
    """As torch.OutOfMemoryError since 2.5."""


@dataclass
class Simulated:
    gpu: bool = True
    capability: tuple[int, int] = (7, 5)
    total_memory: int = 16 << 30
    allocated: int = 0
    emptied: int = 0
    seeds: list[int] = field(default_factory=list)
    products: str = "highest"  # how exact fp32 products are


simulated = Simulated()
generator = np.random.default_rng(0)
_gradients = True


class Tensor(np.ndarray):
    def cpu(self) -> Tensor:
        return self

    def to(self, _device: str) -> Tensor:
        return self


def tensor(values: Any, dtype: Any = np.float32) -> Tensor:
    return np.asarray(values, dtype=dtype).view(Tensor)


class Module:
    """Calls its hooks before and after each call, as torch.nn.Module does."""

    def __init__(self) -> None:
        self._hooks: list[Callable[..., Any]] = []
        self._after: list[Callable[..., Any]] = []

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> None:
        self._hooks.append(hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> None:
        self._after.append(hook)

    def __call__(self, *arguments: Any) -> None:
        for hook in self._hooks:
            hook(self, arguments)
        self.forward(*arguments)
        for hook in self._after:
            hook(self, arguments, None)

    def forward(self, *arguments: Any) -> None:
        """What a subclass does."""


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    global _gradients
    before, _gradients = _gradients, False
    try:
        yield
    finally:
        _gradients = before


def is_grad_enabled() -> bool:
    return _gradients


def manual_seed(seed: int) -> None:
    global generator
    simulated.seeds.append(seed)
    generator = np.random.default_rng(seed)


def set_float32_matmul_precision(precision: str) -> None:
    assert precision in ("highest", "high", "medium")
    simulated.products = precision


def _only_with_gpu(value: Any) -> Any:
    if not simulated.gpu:
        raise AssertionError("Torch not compiled with CUDA enabled")
    return value


def _empty_cache() -> None:
    simulated.emptied += 1


cuda = SimpleNamespace(
    is_available=lambda: simulated.gpu,
    # true by emulation: never to be trusted
    is_bf16_supported=lambda: True,
    get_device_capability=lambda _device: _only_with_gpu(simulated.capability),
    get_device_properties=lambda _device: _only_with_gpu(SimpleNamespace(total_memory=simulated.total_memory)),
    memory_allocated=lambda _device: _only_with_gpu(simulated.allocated),
    empty_cache=_empty_cache,
)
