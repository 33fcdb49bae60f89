"""What to do when pip fails, decided from its last words."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """`text` says what to do. `undone`: pip left the environment as it was, so it can be kept."""

    text: str
    undone: bool


_ADVICE: tuple[tuple[str, Advice], ...] = (
    (
        r"No space left on device|Disk quota exceeded",
        Advice("The disk is full: make room (about 700 MB for .venv), then run this again.", undone=False),
    ),
    (
        r"DO NOT MATCH THE HASHES",
        Advice(
            "A package differs from the one that was pinned. If your mirror rebuilds packages, use another; if a "
            "download was cut short, `.venv/bin/pip cache purge` and run this again.",
            undone=True,
        ),
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        Advice(
            "The package index's certificate is not trusted. Behind a proxy that re-signs, set PIP_CERT to its "
            "certificate file, then run this again.",
            undone=True,
        ),
    ),
    (
        r"Python\.h: No such file",
        Advice(
            "A package is built from source and needs Python's headers: apt-get install python3-dev (Debian, Ubuntu), "
            "then run this again.",
            undone=True,
        ),
    ),
    (
        r"gcc|clang|[Cc]ompiler|command 'cc' failed|x86_64-linux-gnu|error: subprocess-exited-with-error",
        Advice(
            "A package has no ready build for this machine and needs a C compiler: apt-get install build-essential "
            "python3-dev (Debian, Ubuntu), xcode-select --install (macOS), then run this again.",
            undone=True,
        ),
    ),
    (
        r"name resolution|Name or service not known|nodename nor servname|NewConnectionError|ConnectTimeout|"
        r"ReadTimeout|ConnectionReset|ProxyError|Connection refused|Network is unreachable|Max retries exceeded|"
        r"No matching distribution found|Could not find a version",
        Advice(
            "The package index does not answer, or does not have the pinned version. Without direct access set a "
            "mirror (PIP_INDEX_URL, or index-url in pip.conf) or a proxy (HTTPS_PROXY), then run this again.",
            undone=True,
        ),
    ),
)
_UNKNOWN = Advice("Mend what pip names above, then run this again.", undone=False)


def pip_advice(output: str) -> Advice:
    """The first advice that fits pip's output."""
    for pattern, advice in _ADVICE:
        if re.search(pattern, output):
            return advice
    return _UNKNOWN
