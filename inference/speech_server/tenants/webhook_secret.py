"""The secret that signs a client's webhooks when its entry in the keys file names none."""

from __future__ import annotations

import base64
import hashlib
import hmac

# The prefix and the 24 to 64 bytes behind it are Standard Webhooks':
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64

_PURPOSE = b"indextts2 webhook secret v1"


def derived_secret(key: str) -> str:
    """HMAC-SHA256 of a fixed text under the API key, base64, behind "whsec_".

    Whoever has the key can compute it and nobody can compute the key from it: the server keeps no key's text, and a
    client needs no second secret.
    """
    digest = hmac.new(key.encode(), _PURPOSE, hashlib.sha256).digest()
    return PREFIX + base64.b64encode(digest).decode()
