"""`indextts2 say`: a text to a sound file, through the service."""

from __future__ import annotations

import argparse
import base64
import contextlib
import math
import os
import re
import sys
import tempfile
from pathlib import Path

from speech_server.cli.client import Clip, request_clip
from speech_server.cli.failure import CommandError
from speech_server.cli.given_file import bytes_of, text_in
from speech_server.cli.service_options import EPILOG, add_service_options, service_of

_FORMATS = ("wav", "flac", "mp3", "opus", "aac", "pcm")
_SUFFIXES = {".ogg": "opus", **{f".{name}": name for name in _FORMATS}}
_MAX_TEXT_BYTES = 1 << 20
_MAX_REFERENCE_BYTES = 11 << 20  # as base64 this nearly fills the service's 16 MiB
_CHINESE = re.compile("[\u3400-\u9fff]")
_TONE_MARK = re.compile("[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ]|[aeiouü][\u0300\u0301\u0304\u030c]", re.IGNORECASE)

_EXAMPLES = """
examples:
  indextts2 say 'Good morning.' -o morning.wav
  indextts2 say '这本书明天要huán。' -o book.mp3
  indextts2 say -f script.txt --target-seconds 12.5 -o scene.flac
  echo 'From a pipe.' | indextts2 say - -o pipe.wav
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG + _EXAMPLES
    parser.add_argument("text", nargs="?", metavar="TEXT", help="what to say; - or nothing: read standard input")
    parser.add_argument("-f", "--file", type=Path, metavar="FILE", help="a UTF-8 text file to say instead of TEXT")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the sound file to write; -: to stdout")
    parser.add_argument("--format", choices=_FORMATS, help="default: by the output's suffix")
    parser.add_argument(
        "--pinyin",
        action=argparse.BooleanOptionalAction,
        help="read tone-marked pinyin (yào) as such; default: if the text has both Chinese characters and tone marks",
    )
    parser.add_argument("--voice", help="one of the engine's own voices, or a registered one's name or id")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="a sound file with the voice to speak with")
    parser.add_argument("--emotion", metavar="WORDS", help="how it shall sound, in words: 'angry, accusing'")
    parser.add_argument("--intensity", type=_number, metavar="0-1", help="of the emotion; default 1")
    parser.add_argument("--duration-ratio", type=_number, metavar="0.75-1.25", help="speed; 1.1 is 10 %% faster")
    parser.add_argument("--target-seconds", type=_number, metavar="SECONDS", help="make the clip exactly this long")
    parser.add_argument("--seed", type=int, help="another number, another take; the same number, the same take")
    parser.add_argument("--language", metavar="TAG", help="en, zh, ...; default: detected")
    add_service_options(parser)


def run(options: argparse.Namespace) -> int:
    try:
        body = request_body(options, _text(options))
        _make_room(options.output)
        service = service_of(options)
        clip = request_clip(service, body)
        _write(options.output, clip.audio)
    except CommandError as error:
        print(f"indextts2: {error}", file=sys.stderr)
        return 1
    if clip.warnings:
        print(f"warning: {clip.warnings}", file=sys.stderr)
    print(summary(options.output, clip), file=sys.stderr if options.output == "-" else sys.stdout)
    return 0


def request_body(options: argparse.Namespace, text: str) -> dict[str, object]:
    """The body of POST /generate for the options. Raises CommandError."""
    if options.intensity is not None and options.emotion is None:
        raise CommandError("--intensity is of an emotion: give --emotion too")
    emotion: dict[str, object] | None = None
    if options.emotion is not None:
        emotion = {"type": "text_desc", "description": options.emotion}
        if options.intensity is not None:
            emotion["intensity"] = options.intensity
    with_pinyin = has_marked_pinyin(text) if options.pinyin is None else options.pinyin
    body: dict[str, object | None] = {
        "text_with_pinyin" if with_pinyin else "text": text,
        "reference_audio": None if options.reference is None else _base64_of(options.reference),
        "voice": options.voice,
        "emotion_control": emotion,
        "duration_ratio": options.duration_ratio,
        "target_seconds": options.target_seconds,
        "language": options.language,
        "seed": options.seed,
        "format": options.format or format_of(options.output),
    }
    return {name: value for name, value in body.items() if value is not None}


def has_marked_pinyin(text: str) -> bool:
    """Whether tone marks in `text` are likely to be pinyin: in a text with Chinese characters they are."""
    return bool(_CHINESE.search(text)) and bool(_TONE_MARK.search(text))


def format_of(output: str) -> str:
    """The format that a file's name asks for. Raises CommandError."""
    suffix = Path(output).suffix.lower()
    if suffix not in _SUFFIXES:
        known = " ".join(_SUFFIXES)
        raise CommandError(f"{output}: the suffix names no format of sound ({known}): change it, or give --format")
    return _SUFFIXES[suffix]


def summary(output: str, clip: Clip) -> str:
    took = f"synthesised in {clip.synthesis_seconds:.2f} s"
    return f"{output}: {clip.seconds:.2f} s of audio, {took} ({clip.engine})"


def _text(options: argparse.Namespace) -> str:
    if options.file is not None:
        if options.text is not None:
            raise CommandError("TEXT and -f are two texts: give one of them")
        return _decoded(bytes_of(options.file, _MAX_TEXT_BYTES, "text"), str(options.file))
    if options.text not in (None, "-"):
        return options.text
    if options.text is None and sys.stdin.isatty():
        raise CommandError("nothing to say: give TEXT, -f FILE, or - and type it")
    return _decoded(sys.stdin.buffer.read(_MAX_TEXT_BYTES + 1), "standard input")


def _decoded(data: bytes, source: str) -> str:
    if len(data) > _MAX_TEXT_BYTES:
        raise CommandError(f"{source}: more than {_MAX_TEXT_BYTES:,} bytes is no text to be spoken at once")
    return text_in(data, source)


def _base64_of(path: Path) -> str:
    return base64.b64encode(bytes_of(path, _MAX_REFERENCE_BYTES, "sound")).decode()


def _make_room(output: str) -> None:
    """Find out before the synthesis, not after it, that there is no place for the clip."""
    path = Path(output)
    if output == "-":
        return
    if path.is_dir():
        raise CommandError(f"{output}: is a folder: name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{output}: its folder cannot be made: {error.strerror} ({error.filename})") from None
    if not os.access(path.parent, os.W_OK):
        raise CommandError(f"{output}: cannot be written: its folder is not writable")


def _write(output: str, audio: bytes) -> None:
    """Whole or not at all: a clip that was there stays until the new one is complete."""
    try:
        if output == "-":
            sys.stdout.buffer.write(audio)
            sys.stdout.buffer.flush()
            return
        path = Path(output)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(audio)
            Path(temporary).chmod(0o666 & ~_umask())  # mkstemp's 0600 is for secrets
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise CommandError(f"{output}: cannot be written: {error.strerror}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number
