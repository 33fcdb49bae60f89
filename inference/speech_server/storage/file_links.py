"""Signed links to a file: store's objects: HMAC-SHA256 over what the link says, with the store's own secret."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import quote, urlencode


class LinkError(Exception):
    """The link is not one that this store made, or its time is over."""


@dataclass(frozen=True)
class FileLink:
    """`expires` is a Unix time in seconds; `file_name` is what a browser saves the object as, "" for no such wish."""

    key: str
    expires: int
    file_name: str

    def path(self, secret: bytes) -> str:
        """The path and query of the link, from "/files/" on."""
        query = {"expires": str(self.expires), "signature": _signature(self, secret)}
        if self.file_name:
            query["name"] = self.file_name
        return f"/files/{quote(self.key)}?{urlencode(query, quote_via=quote)}"


def check_link(link: FileLink, signature: str, secret: bytes, now: float) -> None:
    """Raises LinkError."""
    expected = _signature(link, secret).encode()
    if not hmac.compare_digest(expected, signature.encode("utf-8", "surrogateescape")):
        raise LinkError("the link's signature does not match: it was changed, or is not of this service")
    if now >= link.expires:
        raise LinkError("the link's time is over: ask for a new one")


def _signature(link: FileLink, secret: bytes) -> str:
    # Neither a key nor a number has a line break in it: no two links are the same text.
    text = f"{link.key}\n{link.expires}\n{link.file_name}"
    return hmac.new(secret, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
