"""A stand-in for an Alibaba Cloud instance's metadata service in its hardened mode: a token first, then everything.

https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler

from tests.listening import listening

_ROLES = "/latest/meta-data/ram/security-credentials/"


@dataclass
class Metadata:
    """The instance's role and its key; `handed_out` counts how often the key was asked for."""

    role: str
    key_id: str
    secret: str
    token: str
    expires: datetime
    url: str = ""
    handed_out: int = 0
    down: bool = False


@contextmanager
def metadata_server(role: Metadata | None) -> Iterator[Metadata]:
    """None: an instance without a role."""
    served = role or Metadata("", "", "", "", datetime.now(timezone.utc))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

        def do_PUT(self) -> None:
            seconds = self.headers.get("X-aliyun-ecs-metadata-token-ttl-seconds", "")
            if served.down or self.path != "/latest/api/token" or not 1 <= int(seconds or 0) <= 21_600:
                self._send(400, b"")
            else:
                self._send(200, b"metadata-token")

        def do_GET(self) -> None:
            if self.headers.get("X-aliyun-ecs-metadata-token") != "metadata-token":
                self._send(403, b"")
            elif role is None or not self.path.startswith(_ROLES):
                self._send(404, b"")
            elif self.path == _ROLES:
                self._send(200, served.role.encode())
            elif self.path == _ROLES + served.role:
                served.handed_out += 1
                self._send(200, json.dumps(_key(served)).encode())
            else:
                self._send(404, b"")

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Handler) as served.url:
        yield served


def _key(served: Metadata) -> dict[str, str]:
    return {
        "AccessKeyId": served.key_id,
        "AccessKeySecret": served.secret,
        "SecurityToken": served.token,
        "Expiration": served.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "LastUpdated": "2026-11-22T00:00:00Z",
        "Code": "Success",
    }
