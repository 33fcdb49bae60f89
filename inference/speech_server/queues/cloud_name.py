"""The URL of a queue or topic in a cloud: `SCHEME://REGION/ACCOUNT/NAME`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}")
_FORMS = {
    "sqs": "sqs://REGION/ACCOUNT/NAME[?endpoint=URL]",
    "smq": "smq://REGION/ACCOUNT/NAME[?dead=NAME][&internal=true][&endpoint=URL]",
    "sns": "sns://REGION/ACCOUNT/NAME[?endpoint=URL]",
    "smq-topic": "smq-topic://REGION/ACCOUNT/NAME[?internal=true][&endpoint=URL]",
}
_OPTIONS = {
    "sqs": {"endpoint"},
    "smq": {"dead", "internal", "endpoint"},
    "sns": {"endpoint"},
    "smq-topic": {"internal", "endpoint"},
}


@dataclass(frozen=True)
class CloudName:
    """A queue or topic in a cloud. `endpoint` is a URL to use instead of the vendor's own."""

    scheme: str
    region: str
    account: str
    name: str
    dead: str | None = None
    internal: bool = False
    endpoint: str | None = None


def cloud_name(url: str, schemes: tuple[str, ...]) -> CloudName:
    """What a URL of one of `schemes` names. Raises ValueError with the form that it must have."""
    parts = urlsplit(url)
    if parts.scheme not in schemes:
        known = ", ".join(_FORMS[scheme] for scheme in schemes)
        raise ValueError(f"{url!r} has no scheme that is known here: use one of {known}")
    form = f"it must be like {_FORMS[parts.scheme]}"
    account, _, name = parts.path.removeprefix("/").partition("/")
    if not all(_PART.fullmatch(part) for part in (parts.netloc, account, name)):
        raise ValueError(f"{url!r} needs a region, an account and a name: {form}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - _OPTIONS[parts.scheme])
    if unknown:
        raise ValueError(f"{url!r}: {unknown[0]!r} is no option: {form}")
    if options.get("internal", "true") not in ("true", "false"):
        raise ValueError(f"{url!r}: internal must be true or false")
    if "dead" in options and not _PART.fullmatch(options["dead"]):
        raise ValueError(f"{url!r}: dead must be a queue's name")
    endpoint = options.get("endpoint")
    if endpoint is not None and not re.fullmatch(r"https?://[^/?#@\s]+/?", endpoint):
        raise ValueError(f"{url!r}: endpoint must be like https://HOST")
    return CloudName(
        scheme=parts.scheme,
        region=parts.netloc,
        account=account,
        name=name,
        dead=options.get("dead"),
        internal=options.get("internal") == "true",
        endpoint=None if endpoint is None else endpoint.rstrip("/"),
    )
