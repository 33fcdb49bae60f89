"""The container's health check: exit status 0 while the server in this container answers /healthz, else 1."""

from __future__ import annotations

import http.client
import os
import socket
import sys

SECONDS = 4.0  # less than the health check's own time limit in the Dockerfile, so that the reason is told
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on, mapped to what is asked


def main() -> int:
    listen = os.environ.get("SPEECH_LISTEN", "")
    try:
        status = healthz_status(listen)
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"no answer from the server at SPEECH_LISTEN={listen!r}: {error}")  # noqa: T201 - shown by docker inspect
        return 1
    print(f"/healthz: {status}")  # noqa: T201 - shown by docker inspect
    return 0 if status == 200 else 1


def healthz_status(listen: str) -> int:
    """The HTTP status of /healthz at "unix:/path" or "HOST:PORT". Raises OSError, ValueError or HTTPException."""
    connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
    connection.sock = _connect(listen)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()


def _connect(listen: str) -> socket.socket:
    if listen.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(SECONDS)
        made.connect(listen.removeprefix("unix:"))
        return made
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return socket.create_connection((_ANY.get(host, host), int(port)), SECONDS)


if __name__ == "__main__":
    sys.exit(main())
