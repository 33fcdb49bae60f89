"""The clients' API keys as the server reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def keys_file(clients: Mapping[str, str]) -> str:
    """What the server reads: a JSON object of client names and keys, the same whatever their order."""
    return json.dumps(dict(sorted(clients.items())))


def version(text: str) -> int:
    """A whole number that is another for another text, within what the engine's numbers (doubles) hold exactly."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
