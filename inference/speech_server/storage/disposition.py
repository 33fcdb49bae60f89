"""What a download is to be saved as: a file name from anywhere as a header's value."""

from __future__ import annotations

import re
from urllib.parse import quote

_MAX_NAME_CHARS = 150
_NOT_IN_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\:*?\"<>|\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def attachment(file_name: str) -> str:
    """The value of Content-Disposition, with the name in both notations of RFC 6266, section 4.3."""
    name = _NOT_IN_NAME.sub("_", file_name).strip(". ")[:_MAX_NAME_CHARS] or "download"
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    if plain == name:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
