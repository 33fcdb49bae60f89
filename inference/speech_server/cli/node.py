"""`indextts2 node`: what an operator, or a program on the node, does with the server of this machine."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from speech_server.cli.failure import CommandError
from speech_server.cli.one_line import one_line
from speech_server.control_socket import MAX_REASON_CHARS, NAME
from speech_server.node.control_client import ControlError, ask

_EXAMPLES = """
The server is found by its folder, SPEECH_WORK_DIR, which its container has set:
  docker exec speech indextts2 node drain --within 110 --reason 'a spot notice'

examples:
  indextts2 node drain                # no new work, finish what is in progress, then the server ends
  indextts2 node drain --stay         # the same, and the server stays, out of service
  indextts2 node undrain              # back into service
  indextts2 node check                # what of this machine would keep the server from speaking
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    drain = actions.add_parser(
        "drain",
        help="take the server out of service and wait until nothing is in progress",
        description="No new work; requests in progress are finished, jobs that cannot be are given back at once.",
    )
    drain.add_argument("--within", type=_seconds, metavar="SECONDS", help="the node is gone then: let go in good time")
    drain.add_argument("--stay", action="store_true", help="the server does not end, and `undrain` takes it back")
    drain.add_argument("--reason", type=_reason, default="an operator's order", help="is shown in /readyz and the log")
    undrain = actions.add_parser("undrain", help="back into service", description="Take a drain back.")
    status = actions.add_parser(
        "status", help="whether it is in service", description="One line: in service, draining or drained."
    )
    for action in (drain, undrain, status):
        folder = os.environ.get("SPEECH_WORK_DIR")
        action.add_argument(
            "--work-dir",
            type=Path,
            metavar="DIR",
            default=Path(folder) if folder else None,
            help="the server's folder (default: SPEECH_WORK_DIR)",
        )
    actions.add_parser(
        "check",
        help="whether this machine can run the server; its settings are SPEECH_... environment variables",
        description="GPU, driver, memory, weights, clock and metadata service: what is wrong, and what to do.",
    )
    actions.add_parser(
        "sync-weights",
        help="bring the weights to this machine; settings are SPEECH_... environment variables",
        description="Bring the weights from the store to this machine and verify them.",
    )


def run(options: argparse.Namespace) -> int:
    try:
        return _ACTIONS[options.action](options)
    except (CommandError, ControlError) as error:
        print(f"indextts2: {one_line(str(error))}", file=sys.stderr)
        return 1


def _drain(options: argparse.Namespace) -> int:
    order = {"do": "drain", "stay": options.stay, "reason": options.reason}
    if options.within is not None:
        order["within"] = options.within
    state: dict[str, Any] = {}
    for state in ask(_socket(options), order):
        print(_told(state), flush=True)
    if options.stay and not state.get("ending"):
        return 0 if state.get("state") == "drained" else 1
    if not state.get("ending"):
        raise CommandError("the server went away before it was drained; its log says why")
    _wait_until_gone(state["pid"], _socket(options))
    print("the server has ended", flush=True)
    return 0


def _undrain(options: argparse.Namespace) -> int:
    for state in ask(_socket(options), {"do": "undrain"}):
        print(_told(state))
    return 0


def _status(options: argparse.Namespace) -> int:
    for state in ask(_socket(options), {"do": "status"}):
        print(_told(state))
    return 0


def _check(_: argparse.Namespace) -> int:
    return importlib.import_module("speech_server.node.check").run(os.environ)


def _sync_weights(_: argparse.Namespace) -> int:
    return importlib.import_module("speech_server.node.sync_weights").run(os.environ)


_ACTIONS = {"drain": _drain, "undrain": _undrain, "status": _status, "check": _check, "sync-weights": _sync_weights}


def _told(state: dict[str, Any]) -> str:
    text = str(state["state"])
    if state["state"] == "draining":
        text += f", {state['seconds_left']:g} s left: {state['requests']} requests, {state['jobs']} jobs in hand"
    return text if state["reason"] is None else f"{text} ({one_line(str(state['reason']))})"


def _socket(options: argparse.Namespace) -> Path:
    if options.work_dir is None:
        raise CommandError("which server? Give its folder with --work-dir, or set SPEECH_WORK_DIR as it has it")
    return options.work_dir / NAME


def _wait_until_gone(pid: int, path: Path) -> None:
    """The socket goes away with the server; one that is killed in the last moment leaves it behind."""
    deadline = time.monotonic() + 30
    while path.exists() and Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:  # nor is nan
        raise argparse.ArgumentTypeError(f"{text[:40]!a} is no number of seconds from 0 to 86400")
    return seconds


def _reason(text: str) -> str:
    if not (1 <= len(text) <= MAX_REASON_CHARS and text.isascii() and text.isprintable()):
        raise argparse.ArgumentTypeError(f"a reason is 1 to {MAX_REASON_CHARS} printable ASCII characters")
    return text
