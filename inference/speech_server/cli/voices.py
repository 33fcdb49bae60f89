"""`indextts2 voices`: the service's registered voices."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from speech_server.cli.api_call import call
from speech_server.cli.failure import CommandError
from speech_server.cli.given_file import bytes_of, text_in
from speech_server.cli.one_line import one_line
from speech_server.cli.service_address import ServiceAddress
from speech_server.cli.service_options import EPILOG, add_service_options, service_of

_VOICES = "/v1/audio/voices"
_MAX_SAMPLE_BYTES = 15 << 20  # with its form it fills the service's 16 MiB
_MAX_STATEMENT_BYTES = 16 << 10
_PAGE = 1000

_EXAMPLES = """
examples:
  indextts2 voices add studio/host.wav --name host-1 \\
      --consent 'The host agreed in her contract of 2026-03-01.' --source 'Recorded in our studio, 2026-03-02.'
  indextts2 voices list
  indextts2 say 'Good evening.' --voice host-1 -o evening.wav
  indextts2 voices delete host-1
  indextts2 voices audit
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG + _EXAMPLES
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="register a voice from a sound file", description="Register a voice.")
    add.add_argument("sample", type=Path, metavar="FILE", help="wav, flac, mp3 or ogg; 2 to 30 s of one person talking")
    add.add_argument("--name", required=True, help="what the voice is called in requests")
    consent = add.add_mutually_exclusive_group(required=True)
    consent.add_argument("--consent", metavar="TEXT", help="who allowed this voice to be used, for what, and when")
    consent.add_argument("--consent-file", type=Path, metavar="FILE", help="the same, from a UTF-8 text file")
    add.add_argument("--source", required=True, metavar="TEXT", help="where the sample is from: who recorded it, when")
    add.add_argument("--shared", action="store_true", help="let every client of the service speak with it")
    add_service_options(add)
    listing = actions.add_parser("list", help="the voices to speak with", description="List voices.")
    add_service_options(listing)
    delete = actions.add_parser("delete", help="delete a voice everywhere", description="Delete a voice.")
    delete.add_argument("voice", metavar="VOICE", help="its name or id")
    add_service_options(delete)
    audit = actions.add_parser(
        "audit", help="who added and deleted voices", description="List additions and deletions."
    )
    audit.add_argument("--client", metavar="NAME", help="whose voices, with an admin's key; '*' for all")
    add_service_options(audit)


def run(options: argparse.Namespace) -> int:
    try:
        return _ACTIONS[options.action](options)
    except CommandError as error:
        print(f"indextts2: {error}", file=sys.stderr)
        return 1


def _add(options: argparse.Namespace) -> int:
    sample = bytes_of(options.sample, _MAX_SAMPLE_BYTES, "sound")
    consent = options.consent
    if consent is None:
        consent = text_in(bytes_of(options.consent_file, _MAX_STATEMENT_BYTES, "text"), str(options.consent_file))
    form = {
        "name": options.name,
        "consent": consent,
        "source": options.source,
        "scope": "shared" if options.shared else "private",
    }
    for field, text in form.items():
        if not _can_be_sent(text):
            raise CommandError(f"--{field}: not UTF-8 text")
    service = service_of(options)
    voice = call(service, "POST", _VOICES, form=form, files={"audio_sample": ("sample", sample)})
    print(f"{voice['id']}  {one_line(voice['name'])}  {voice['seconds']:.1f} s, {voice['scope']}")
    return 0


def _list(options: argparse.Namespace) -> int:
    rows: list[tuple[str, ...]] = [("ID", "NAME", "SECONDS", "SCOPE", "ADDED")]
    for voice in _pages(service_of(options), _VOICES, {}):
        added = datetime.fromtimestamp(voice["created_at"], timezone.utc)
        scope = voice["scope"] if voice["owner"] is not None else "shared with you"
        rows.append(
            (voice["id"], one_line(voice["name"]), f"{voice['seconds']:.1f}", scope, f"{added:%Y-%m-%d %H:%M} UTC")
        )
    _print_table(rows)
    return 0


def _delete(options: argparse.Namespace) -> int:
    if not options.voice or not _can_be_sent(options.voice):
        raise CommandError("VOICE: not a name or an id")
    gone = call(service_of(options), "DELETE", f"{_VOICES}/{quote(options.voice, safe='')}")
    print(f"{gone['id']} is deleted")
    return 0


def _audit(options: argparse.Namespace) -> int:
    query = {} if options.client is None else {"client": options.client}
    rows: list[tuple[str, ...]] = [("TIME", "ACTION", "BY", "OWNER", "VOICE", "NAME", "SHA256", "CONSENT", "SOURCE")]
    for entry in _pages(service_of(options), f"{_VOICES}/audit", query):
        names = ("action", "by", "owner", "voice", "name", "sha256", "consent", "source")
        rows.append((entry["time"], *(one_line(entry[name]) for name in names)))
    _print_table(rows)
    return 0


_ACTIONS = {"add": _add, "list": _list, "delete": _delete, "audit": _audit}


def _pages(service: ServiceAddress, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"has_more": True, "last_id": None}
    while page["has_more"]:
        after = {} if page["last_id"] is None else {"after": page["last_id"]}
        page = call(service, "GET", path, query={**query, "limit": _PAGE, **after})
        found += page["data"]
    return found


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _can_be_sent(text: str) -> bool:
    """An argument that is no text in this system's encoding reaches Python with half characters in it."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
