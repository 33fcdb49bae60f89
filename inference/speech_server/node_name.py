"""What this start of a server is called in the names of the objects that it writes."""

from __future__ import annotations

import re
import secrets
import socket
from datetime import datetime

_OTHER = re.compile(r"[^A-Za-z0-9_-]+")


def node_name(replica: str, started: datetime) -> str:
    """The replica's name, or the machine's, and when it started; unlike that of every other start."""
    name = _OTHER.sub("-", replica or socket.gethostname()).strip("-")[:60] or "server"
    return f"{name}-{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
