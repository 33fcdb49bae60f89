"""Whether a call to an API of Alibaba Cloud is signed as it must be, worked out from what arrived on the wire.

https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Mapping

_AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})")
# How far the clocks may be apart.
MOST_SECONDS = 900


class RefusedError(Exception):
    """What the service answers in place of what was asked."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


def verify(
    headers: Mapping[str, str], path: str, body: bytes, credentials: Mapping[str, str], nonces: set[str]
) -> None:
    """Raises RefusedError for a call without credentials of the role, with a signature that is not right, that is too
    old, was made twice (`nonces` are those that were), or leaves a header out of its signature."""
    lower = {name.lower(): value for name, value in headers.items()}
    signed = _AUTHORIZATION.fullmatch(lower.get("authorization", ""))
    if not signed:
        raise RefusedError(400, "MissingAuthorization")
    key, names, signature = signed.groups()
    must = {name for name in lower if name.startswith("x-acs-")} | {"host"} | ({"content-type"} & set(lower))
    if names.split(";") != sorted(must):
        raise RefusedError(400, "SignatureDoesNotMatch.SignedHeaders")
    if key != credentials["AccessKeyId"]:
        raise RefusedError(404, "InvalidAccessKeyId.NotFound")
    if lower.get("x-acs-security-token") != credentials["SecurityToken"]:
        raise RefusedError(400, "InvalidSecurityToken.Malformed")
    if lower["x-acs-content-sha256"] != hashlib.sha256(body).hexdigest():
        raise RefusedError(400, "SignatureDoesNotMatch.Content")
    if signature != _signature(path, lower, names, credentials["AccessKeySecret"]):
        raise RefusedError(400, "SignatureDoesNotMatch")
    at = datetime.datetime.strptime(lower["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs((datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()) > MOST_SECONDS:
        raise RefusedError(400, "InvalidTimeStamp.Expired")
    if lower["x-acs-signature-nonce"] in nonces:
        raise RefusedError(400, "SignatureNonceUsed")
    nonces.add(lower["x-acs-signature-nonce"])


def _signature(path: str, headers: Mapping[str, str], names: str, secret: str) -> str:
    split = urllib.parse.urlsplit(path)
    pairs = sorted(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
    query = "&".join("=".join(urllib.parse.quote(text, safe="-_.~") for text in pair) for pair in pairs)
    lines = [f"{name}:{headers[name].strip()}\n" for name in names.split(";")]
    request = "\n".join(["POST", split.path, query, "".join(lines), names, headers["x-acs-content-sha256"]])
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
