"""What an object may be called: "/"-separated parts that mean the same in a bucket, in a URL and on a disk."""

from __future__ import annotations

import re

MAX_KEY_CHARS = 512

# No part begins with a dot: none is "..", and a file: store keeps what is its own under such names. No "%", "#" or
# space, which a bucket, a URL and a file system would each write in another way.
_PART = r"[A-Za-z0-9_=+@-][A-Za-z0-9._=+@-]{0,199}"
_KEY = re.compile(rf"{_PART}(/{_PART})*")
_FOLDER = re.compile(rf"({_PART}/)*")


def is_key(text: str) -> bool:
    return len(text) <= MAX_KEY_CHARS and _KEY.fullmatch(text) is not None


def check_key(key: str) -> None:
    """Raises ValueError. What a client sent must have been checked before it became part of a key."""
    if not is_key(key):
        raise ValueError(f"{key[:200]!a} is no key of an object")


def check_folder(prefix: str) -> None:
    """Raises ValueError for anything but "" and whole parts that end in "/"."""
    if len(prefix) > MAX_KEY_CHARS or not _FOLDER.fullmatch(prefix):
        raise ValueError(f'{prefix[:200]!a} is no folder: use "" or parts that each end in "/"')
