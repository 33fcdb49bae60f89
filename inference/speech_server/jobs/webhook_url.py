"""Which URLs may be given for a webhook; whether the address behind one is allowed is asked when it is called."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from speech_server.errors import ApiError, shown
from speech_server.notify.public_address import literal_address, why_refused

_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?")


def check_webhook_url(url: str, loopback: bool) -> None:
    """Raises ApiError. With `loopback` (a service on one machine) http: and addresses of this machine are fine too."""
    problem = _problem(url, loopback)
    if problem is not None:
        raise ApiError(400, "invalid_webhook", f"webhook {shown(url)} {problem}", "webhook")


def _problem(url: str, loopback: bool) -> str | None:
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' \\"<>'):
        return "has characters that no URL has: write others as %XX and a name in other letters as xn--..."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme != "https" and not (loopback and parts.scheme == "http"):
        return "must begin with https://"
    if parts.username is not None or parts.password is not None:
        return "must not carry a name or password: the signature in its headers tells who calls"
    if parts.fragment:
        return "must not have a fragment (#)"
    if port == 0:
        return "must not have the port 0"
    address = literal_address(host)
    if address is not None:
        return why_refused(address, loopback)
    if not _HOST.fullmatch(host) or len(host) > 253:
        return "names no host"
    if re.fullmatch(r"[0-9.]+|0[xX].*", host.rpartition(".")[2] or host):
        return "has an address in another form than 192.0.2.1 or [2001:db8::1]"
    return None
