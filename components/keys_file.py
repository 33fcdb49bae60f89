"""The clients' keys and limits as a secret holds them and the server reads them."""

from __future__ import annotations

import hashlib
import json

from components.settings import StackSettings
from components.settings.clients import keys_file


def keys_text(settings: StackSettings) -> str:
    """The keys file; the same whatever the order of the clients."""
    return json.dumps(keys_file(settings.api_keys, settings.clients))


def version(text: str) -> int:
    """A whole number that is another for another text, within what the engine's numbers (doubles) hold exactly."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
