"""Stops a model in the middle of a segment: between two tokens, two diffusion steps, two layers of the vocoder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from typing import Any

from speech_server.engines.base import Cancelled


def _never() -> bool:
    return False


class Interruption:
    """`check()` is called from within the model and raises Cancelled once `watching`'s argument is true."""

    def __init__(self) -> None:
        self._cancelled: Callable[[], bool] = _never

    @contextlib.contextmanager
    def watching(self, cancelled: Callable[[], bool]) -> Generator[None]:
        self._cancelled = cancelled
        try:
            self.check()
            yield
        finally:
            self._cancelled = _never

    def check(self) -> None:
        if self._cancelled():
            raise Cancelled

    def attach(self, modules: Iterable[Any]) -> None:
        """Check before each call of these torch modules: the stages that take no stopping criterion."""
        for module in modules:
            module.register_forward_pre_hook(lambda *_: self.check())

    def criterion(self, input_ids: Any, _scores: Any, **_: Any) -> Any:
        """A stopping criterion for transformers' `generate`, which asks it after each token. Never true itself.

        A custom one is any callable that gives a row of booleans.
        """
        self.check()
        last = input_ids[:, -1]
        return last != last  # False for each beam, on whatever device they are

    def progress(self, _value: float, desc: str | None = None) -> None:  # noqa: ARG002 - upstream passes it by name
        """For upstream's `gr_progress`, which is called before each stage."""
        self.check()
