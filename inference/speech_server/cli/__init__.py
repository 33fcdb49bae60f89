"""The `indextts2` command."""

from speech_server.cli.main import main

__all__ = ["main"]
