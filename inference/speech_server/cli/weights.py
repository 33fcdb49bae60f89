"""`indextts2 weights`: the model's weights, from a hub or a folder into a bucket, from there to a machine, verified."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from speech_server.weights.claim import Pace
from speech_server.weights.download import download
from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.hubs import parse_source
from speech_server.weights.manifest import Manifest, Origin
from speech_server.weights.place import open_place, split_place
from speech_server.weights.progress import Progress, gigabytes
from speech_server.weights.pull import pull
from speech_server.weights.push import push
from speech_server.weights.verify import verify

_PLACES = "s3://BUCKET/weights/NAME?region=R, oss://BUCKET/weights/NAME?region=R or file:///DIR/weights/NAME"
_EXAMPLES = """
examples:
  indextts2 weights pull hf://IndexTeam/IndexTTS-2.5 ./weights
  indextts2 weights pull 'hf://IndexTeam/IndexTTS-2.5?endpoint=https://hf-mirror.com' ./weights
  indextts2 weights pull modelscope://IndexTeam/IndexTTS-2.5 ./weights
  indextts2 weights push ./weights 's3://speech-bucket/weights/indextts-2.5?region=us-west-2'
  indextts2 weights pull 's3://speech-bucket/weights/indextts-2.5?region=us-west-2' /srv/weights
  indextts2 weights verify /srv/weights

exit status: 0 done, 65 wrong content, 66 nothing there, 69 store or hub unreachable, 71 this machine's clock is wrong,
73 disk, 77 access denied, 78 wrong settings
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    push_ = actions.add_parser(
        "push", help="from a folder into a bucket", description="Send a folder's weights; what is there is not resent."
    )
    push_.add_argument("folder", type=Path, metavar="FOLDER", help="that holds the weights of version 2 or 2.5")
    push_.add_argument("url", metavar="URL", help=_PLACES)
    push_.add_argument(
        "--origin", metavar="REPO@REVISION", help="of a folder without a manifest: where its files are from"
    )
    push_.add_argument("--licence", metavar="TEXT", default="", help="with --origin: the licence that they are under")
    pull_ = actions.add_parser(
        "pull", help="from a bucket or a hub into a folder", description="Fetch weights; every byte is verified."
    )
    pull_.add_argument("url", metavar="URL", help=f"{_PLACES}; or hf://OWNER/REPO@REV, modelscope://OWNER/REPO@REV")
    pull_.add_argument("folder", type=Path, metavar="FOLDER", help="is made; what is right in it is kept")
    check = actions.add_parser(
        "verify", help="read a folder and name each wrong file", description="Compare a folder with its manifest."
    )
    check.add_argument("folder", type=Path, metavar="FOLDER")


def run(options: argparse.Namespace) -> int:
    try:
        return _ACTIONS[options.action](options, Progress(sys.stderr))
    except TransferError as error:
        print(f"indextts2: {error}", file=sys.stderr)
        return error.status


def _push(options: argparse.Namespace, progress: Progress) -> int:
    place = open_place(*split_place(options.url))
    try:
        origin = _origin(options.origin, options.licence)
        listed = push(place, WeightsFolder(options.folder), origin, progress, threading.Event(), Pace())
    finally:
        place.close()
    print(f"weights/{place.name}/ holds {_what(listed)}")
    return Exit.DONE


def _pull(options: argparse.Namespace, progress: Progress) -> int:
    folder = WeightsFolder(options.folder)
    if options.url.startswith(("hf:", "modelscope:")):
        listed = download(parse_source(options.url), folder, progress, threading.Event())
    else:
        place = open_place(*split_place(options.url))
        try:
            listed = pull(place, folder, progress, threading.Event(), durable=True)
        finally:
            place.close()
    print(f"{options.folder} holds {_what(listed)}, verified")
    return Exit.DONE


def _verify(options: argparse.Namespace, progress: Progress) -> int:
    verdict = verify(WeightsFolder(options.folder), progress, threading.Event())
    for line in verdict.wrong:
        print(line)
    if verdict.wrong:
        raise TransferError(
            Exit.CONTENT,
            f"{len(verdict.wrong)} of {len(verdict.manifest.files)} files in {options.folder} are wrong: pull them "
            "again; right ones are kept",
        )
    print(f"{options.folder} holds {_what(verdict.manifest)}, verified")
    return Exit.DONE


_ACTIONS = {"push": _push, "pull": _pull, "verify": _verify}


def _what(listed: Manifest) -> str:
    return f"version {listed.version}: {len(listed.files)} files, {gigabytes(listed.size)}"


def _origin(text: str | None, licence: str) -> Origin | None:
    if text is None:
        if licence:
            raise TransferError(Exit.SETTINGS, "--licence: of what? Give --origin REPO@REVISION too")
        return None
    repo, at, revision = text.rpartition("@")
    if not at or not repo or not revision or not f"{text}{licence}".isprintable() or len(text + licence) > 300:
        raise TransferError(Exit.SETTINGS, f"--origin: {text[:100]!a} is not like OWNER/REPO@REVISION")
    return Origin(repo, revision, licence)
