"""A store's URL: what it may say, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html. OSS takes no dots:
# https://www.alibabacloud.com/help/en/oss/user-guide/bucket-naming-conventions
_BUCKETS = {
    "s3": re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    "oss": re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"),
}
_REGION = re.compile(r"[a-z0-9-]{2,40}")
_PARAMETERS = {
    "file": frozenset[str](),
    "s3": frozenset({"region", "endpoint"}),
    "oss": frozenset({"region", "endpoint", "internal", "public"}),
}
_FORMS = "file:///DIR, s3://BUCKET?region=REGION or oss://BUCKET?region=REGION"


@dataclass(frozen=True)
class StoreUrl:
    """`place` is the folder of a file: store, else the bucket's name."""

    scheme: str
    place: str
    parameters: Mapping[str, str]


def parse_store_url(url: str) -> StoreUrl:
    """Raises ValueError that says what would be right."""
    parts = urlsplit(url)
    if parts.scheme not in _PARAMETERS:
        raise ValueError(f"there is no such kind of store; use {_FORMS}")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    parameters = dict(pairs)
    known = _PARAMETERS[parts.scheme]
    unknown = sorted(parameters.keys() - known)
    if unknown or parts.fragment or len(parameters) < len(pairs):
        found = f"{unknown[0][:60]!a} is no parameter" if unknown else "a parameter is given twice, or after a #"
        raise ValueError(f"{found} of {parts.scheme}:; there are {', '.join(sorted(known)) or 'none'}")
    if parts.scheme == "file":
        return StoreUrl("file", _folder(parts.netloc, parts.path), parameters)
    if not _BUCKETS[parts.scheme].fullmatch(parts.netloc) or parts.path not in ("", "/"):
        raise ValueError(f"{(parts.netloc + parts.path)[:100]!a} is no bucket's name; use {_FORMS}")
    _check(parameters)
    return StoreUrl(parts.scheme, parts.netloc, parameters)


def _folder(host: str, path: str) -> str:
    if host not in ("", "localhost") or not path.startswith("/"):
        raise ValueError("the folder must be absolute, with three slashes: file:///var/lib/speech")
    return unquote(path)


def _check(parameters: Mapping[str, str]) -> None:
    if not _REGION.fullmatch(parameters.get("region", "")):
        raise ValueError("the bucket's region is missing: add ?region=us-west-2 or the like")
    if parameters.get("internal", "true") not in ("true", "false"):
        raise ValueError(f"internal must be true or false, not {parameters['internal'][:40]!a}")
    for name in ("endpoint", "public"):
        address = urlsplit(parameters.get(name, "https://default"))
        if address.scheme not in ("http", "https") or not address.hostname or address.query or address.username:
            raise ValueError(f"{name} must be like https://objects.example.com, not {parameters[name][:100]!a}")
