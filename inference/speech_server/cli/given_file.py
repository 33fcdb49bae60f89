"""Files that the command line names: read whole, and no more of them than they may hold."""

from __future__ import annotations

from pathlib import Path

from speech_server.cli.failure import CommandError


def bytes_of(path: Path, limit: int, kind: str) -> bytes:
    """Raises CommandError for a file that cannot be read or has more than `limit` bytes; `kind` is "sound", say."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise CommandError(f"{path}: a {kind} file of more than {limit:,} bytes is too large")
    return data


def text_in(data: bytes, source: str) -> str:
    """Without the white space around it. Raises CommandError for what is no UTF-8 text, and if there is none."""
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise CommandError(f"{source}: not UTF-8 (byte {error.start}): save it as UTF-8") from None
    if not text:
        raise CommandError(f"{source}: there is no text in it")
    return text
