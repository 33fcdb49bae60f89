"""`indextts2 COMMAND`: finds the command and runs it."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from speech_server import __version__

# command -> (its module, one line of help). A module is imported when its command is run: the server's parts are
# most of a second that `say` does not need.
COMMANDS = {
    "serve": ("speech_server.cli.serve", "run the speech server; its settings are SPEECH_... environment variables"),
    "say": ("speech_server.cli.say", "have a text spoken into a sound file"),
    "jobs": ("speech_server.cli.jobs", "order clips for later, ask for them, cancel them"),
    "voices": ("speech_server.cli.voices", "register voices, list and delete them"),
    "node": ("speech_server.cli.node", "take this machine's server out of service and back, check the machine"),
    "weights": ("speech_server.cli.weights", "bring the model's weights into a bucket or a folder, and verify them"),
    "price": ("speech_server.cli.price", "what the stacks of a checkout cost, side by side"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 failed, 2 wrong usage, 78 wrong settings, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="indextts2", description="IndexTTS2 speech: the server and its client.")
    parser.add_argument("--version", action="version", version=f"indextts2 {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    module: ModuleType | None = None
    for name, (path, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == wanted:
            module = importlib.import_module(path)
            module.add_arguments(command)
    options = parser.parse_args(arguments)
    assert module is not None
    try:
        return module.run(options)
    except KeyboardInterrupt:
        return 130
