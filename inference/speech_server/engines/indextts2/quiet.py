"""Keeps the model from printing what it speaks: upstream prints texts, tokens and progress bars.

What an engine process prints goes into the server's log, and no caller's text may.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Generator


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def quiet() -> Generator[list[warnings.WarningMessage]]:
    """Nothing that Python code prints, logs or warns of gets out; the warnings are the value."""
    nowhere = _Nowhere()
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always", RuntimeWarning)
            yield caught
    finally:
        logging.disable(disabled)
