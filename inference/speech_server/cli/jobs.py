"""`indextts2 jobs`: speech that the service makes when it has time, and who asks how far it is."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from speech_server.cli.api_call import call
from speech_server.cli.failure import CommandError
from speech_server.cli.one_line import one_line
from speech_server.cli.service_address import ServiceAddress
from speech_server.cli.service_options import EPILOG, add_service_options, service_of
from speech_server.tenants.webhook_secret import derived_secret

_JOBS = "/v1/jobs"
_MAX_ORDER_BYTES = 16 << 20  # of a request, as the service takes it by default
_PAGE = 100
_POLL_SECONDS = 2.0

_EXAMPLES = """
examples:
  echo '{"clips": [{"text": "One."}, {"text": "Two."}], "format": "mp3"}' > order.json
  indextts2 jobs add order.json --wait
  indextts2 jobs list
  indextts2 jobs clips job_...
  indextts2 jobs cancel job_...
  indextts2 jobs redrive --all
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG + _EXAMPLES
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="order clips", description="Order the clips that a JSON file describes.")
    add.add_argument("order", metavar="FILE", help="the body of POST /v1/jobs; -: standard input")
    add.add_argument("--wait", action="store_true", help="return when the job has ended; status 1 if a clip failed")
    show = actions.add_parser("show", help="how far a job is", description="Show a job.")
    clips = actions.add_parser("clips", help="a job's clips and their URLs", description="List a job's clips.")
    cancel = actions.add_parser("cancel", help="speak nothing more of a job", description="Cancel a job.")
    for command in (show, clips, cancel):
        command.add_argument("job", metavar="JOB", help="its id")
    listing = actions.add_parser("list", help="your jobs, the newest first", description="List jobs.")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many; default 20")
    dead = actions.add_parser("dead", help="what came to nothing (an admin's key)", description="List dead letters.")
    redrive = actions.add_parser(
        "redrive", help="have dead letters tried again (an admin's key)", description="Drive dead letters again."
    )
    which = redrive.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", default=[], metavar="ID", help="of dead letters")
    which.add_argument("--all", action="store_true", help="all that are listed")
    secret = actions.add_parser(
        "webhook-secret",
        help="what your webhooks are signed with",
        description="Print the secret that belongs to your API key, unless the keys file names another one.",
    )
    for command in (add, show, clips, cancel, listing, dead, redrive, secret):
        add_service_options(command)


def run(options: argparse.Namespace) -> int:
    try:
        return _ACTIONS[options.action](options)
    except CommandError as error:
        print(f"indextts2: {error}", file=sys.stderr)
        return 1


def wait_for(
    service: ServiceAddress, job: str, tell: Callable[[dict[str, Any]], None], sleep: Callable[[float], None]
) -> dict[str, Any]:
    """The job when it has ended; `tell` is given it each time it was asked for. Raises CommandError."""
    while True:
        found = call(service, "GET", _path(job))
        tell(found)
        if found["finished_at"] is not None:
            return found
        sleep(_POLL_SECONDS)


def _add(options: argparse.Namespace) -> int:
    order = _order_of(options.order)
    service = service_of(options)
    # A call that is repeated because its answer was lost must not order everything twice.
    headers = {"Idempotency-Key": secrets.token_hex(16)}
    job = call(service, "POST", _JOBS, json=order, headers=headers)
    print(job["id"], flush=True)
    if not options.wait:
        return 0
    ended = wait_for(service, job["id"], lambda found: print(_state(found), file=sys.stderr), time.sleep)
    return 0 if ended["status"] == "succeeded" else 1


def _show(options: argparse.Namespace) -> int:
    print(json.dumps(call(service_of(options), "GET", _path(options.job)), indent=2))
    return 0


def _clips(options: argparse.Namespace) -> int:
    service = service_of(options)
    page: dict[str, Any] = {"data": [], "has_more": True}
    while page["has_more"]:
        after = {"after": page["data"][-1]["clip"]} if page["data"] else {}
        page = call(service, "GET", f"{_path(options.job)}/clips", query={"limit": _PAGE, **after})
        for clip in page["data"]:
            told = clip["url"] or (clip["error"] or {}).get("message") or ""
            print(f"{clip['clip']:5d}  {clip['status']:<9}  {one_line(told)}".rstrip())
    return 0


def _cancel(options: argparse.Namespace) -> int:
    print(_state(call(service_of(options), "DELETE", _path(options.job))))
    return 0


def _list(options: argparse.Namespace) -> int:
    service = service_of(options)
    left, after = options.limit, {}
    while left > 0:
        page = call(service, "GET", _JOBS, query={"limit": min(_PAGE, left), **after})
        for job in page["data"]:
            came = datetime.fromtimestamp(job["created_at"], timezone.utc)
            print(f"{job['id']}  {came:%Y-%m-%d %H:%M} UTC  {_state(job)}")
        if not page["has_more"]:
            break
        left -= len(page["data"])
        after = {"after": page["data"][-1]["id"]}
    return 0


def _dead(options: argparse.Namespace) -> int:
    for letter in call(service_of(options), "GET", f"{_JOBS}/dead-letters", query={"limit": 500})["data"]:
        clip = "" if letter["clip"] is None else f" clip {letter['clip']}"
        print(f"{letter['id']}  {letter['what']}  {letter['client']}  {letter['job']}{clip}  {letter['tries']} tries")
    return 0


def _redrive(options: argparse.Namespace) -> int:
    body = {} if options.all else {"ids": options.ids}
    found = call(service_of(options), "POST", f"{_JOBS}/dead-letters/redrive", json=body)
    print(f"{found['redriven']} driven again")
    return 0


def _webhook_secret(options: argparse.Namespace) -> int:
    print(derived_secret(service_of(options).api_key))
    return 0


_ACTIONS = {
    "add": _add,
    "show": _show,
    "clips": _clips,
    "cancel": _cancel,
    "list": _list,
    "dead": _dead,
    "redrive": _redrive,
    "webhook-secret": _webhook_secret,
}


def _path(job: str) -> str:
    return f"{_JOBS}/{quote(job.encode('utf-8', 'surrogateescape'), safe='')}"


def _state(job: dict[str, Any]) -> str:
    progress = job["progress"]
    parts = [f"{progress['succeeded']} of {progress['total']} spoken"]
    parts += [f"{progress[name]} {name}" for name in ("failed", "cancelled") if progress[name]]
    return f"{job['status']}: {', '.join(parts)}, {progress['audio_seconds']:.1f} s of audio"


def _order_of(name: str) -> object:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(_MAX_ORDER_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(_MAX_ORDER_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{name}: cannot be read: {error.strerror}") from None
    if len(data) > _MAX_ORDER_BYTES:
        raise CommandError(f"{name}: an order of more than {_MAX_ORDER_BYTES:,} bytes is too large: split it")
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise CommandError(f"{name}: is no JSON in UTF-8: see POST /v1/jobs for what it holds") from None
