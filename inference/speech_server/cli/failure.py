"""What ends a command with a sentence instead of a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """The message says what is wrong and what to do; the command ends with status 1."""
