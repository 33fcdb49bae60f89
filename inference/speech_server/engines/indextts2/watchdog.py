"""Ends an engine process whose model hangs, whatever it hangs in.

Python's own watchdog thread needs no interpreter lock, so that a hung native call is ended too.
"""

from __future__ import annotations

import contextlib
import faulthandler
import sys
from collections.abc import Generator


@contextlib.contextmanager
def ends_after(seconds: float) -> Generator[None]:
    """After `seconds` in the body the process exits with 1, and standard error has where in the code it hung."""
    assert sys.__stderr__ is not None
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
