"""OSS's own signature, version 4: of a request's headers, and of a URL.

https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
https://www.alibabacloud.com/help/en/oss/developer-reference/add-signatures-to-urls
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from speech_server.storage.alibaba_credentials import AccessKey

_ALGORITHM = "OSS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_SIGNED_BESIDE_OSS = ("content-type", "content-md5")


@dataclass(frozen=True)
class OssObject:
    """`path` is that of the object in its bucket's own URL, encoded."""

    region: str
    bucket: str
    key: str

    @property
    def path(self) -> str:
        return "/" + quote(self.key)


def signed_headers(
    method: str, target: OssObject, headers: Mapping[str, str], key: AccessKey, now: datetime
) -> dict[str, str]:
    """`headers` and what the signature adds to them. `now` is in UTC, within 15 minutes of OSS's clock."""
    time = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "x-oss-content-sha256": _UNSIGNED, "x-oss-date": time}
    if key.token is not None:
        signed["x-oss-security-token"] = key.token
    signature = signature_of(method, target, "", signed, key, time)
    signed["authorization"] = f"{_ALGORITHM} Credential={key.id}/{_scope(target, time)},Signature={signature}"
    return signed


def signed_query(
    method: str, target: OssObject, query: Mapping[str, str], seconds: int, key: AccessKey, now: datetime
) -> str:
    """The query of a URL that carries its signature, `query` in it. No header is signed."""
    time = now.strftime("%Y%m%dT%H%M%SZ")
    parameters = {
        **query,
        "x-oss-signature-version": _ALGORITHM,
        "x-oss-credential": f"{key.id}/{_scope(target, time)}",
        "x-oss-date": time,
        "x-oss-expires": str(seconds),
    }
    if key.token is not None:
        parameters["x-oss-security-token"] = key.token
    encoded = canonical_query(parameters)
    return f"{encoded}&x-oss-signature={signature_of(method, target, encoded, {}, key, time)}"


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Sorted by their encoded form; one without a value is its name alone."""
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" if value else name for name, value in pairs)


def signature_of(
    method: str, target: OssObject, query: str, headers: Mapping[str, str], key: AccessKey, time: str
) -> str:
    named = sorted((name.lower(), value.strip()) for name, value in headers.items())
    signed = [f"{name}:{value}\n" for name, value in named if name.startswith("x-oss-") or name in _SIGNED_BESIDE_OSS]
    resource = quote(f"/{target.bucket}/{target.key}")
    # The empty line stands for the list of further signed headers: there are none.
    request = "\n".join([method, resource, query, "".join(signed), "", _UNSIGNED])
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join([_ALGORITHM, time, _scope(target, time), digest])
    secret = f"aliyun_v4{key.secret}".encode()
    for part in (time[:8], target.region, "oss", "aliyun_v4_request"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def _scope(target: OssObject, time: str) -> str:
    return f"{time[:8]}/{target.region}/oss/aliyun_v4_request"
