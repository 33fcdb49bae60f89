"""What a new instance runs at its first boot."""

from __future__ import annotations

import base64
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from components.aws.timing import STOP_SECONDS
from components.contracts import SERVER_PORT
from components.server_environment import SERVER_UID, ServerUrls, server_environment, single_lines

TEMPLATE = Path(__file__).with_name("user_data.sh")
# Of the raw script: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
MAX_BYTES = 16_384

# The namespace of what nodes report; their role may write to no other.
NAMESPACE = "IndexTTS2"
# How often a node asks whether it is to go; a spot notice comes two minutes before the end.
POLL_SECONDS = 5
# What the group is given, after a spot notice, to take the node out of the load balancer.
SPOT_GRACE_SECONDS = 20


@dataclass(frozen=True)
class Boot:
    """What an instance must know of its stack."""

    region: str
    fleet: str
    hook: str
    image: str
    registry_host: str
    """The registry to log in to with the instance's role; empty for a registry that is open to all."""
    keys_secret: str
    log_group: str
    engine: str
    urls: ServerUrls


def user_data(boot: Boot) -> str:
    """The script in base64, as a launch template takes it.

    Raises ValueError if the script is longer than an instance accepts, or a value could not stand in a file's line.
    """
    script = render(boot)
    if len(script.encode()) >= MAX_BYTES:
        raise ValueError(f"the user data has {len(script.encode())} bytes, and AWS takes less than {MAX_BYTES}")
    return base64.b64encode(script.encode()).decode()


def render(boot: Boot) -> str:
    """The script itself."""
    node = {
        "REGION": boot.region,
        "FLEET": boot.fleet,
        "HOOK": boot.hook,
        "IMAGE": boot.image,
        "REGISTRY_HOST": boot.registry_host,
        "KEYS_SECRET": boot.keys_secret,
        "LOG_GROUP": boot.log_group,
        "NAMESPACE": NAMESPACE,
        "SERVER_PORT": str(SERVER_PORT),
        "SERVER_UID": str(SERVER_UID),
        "STOP_SECONDS": str(STOP_SECONDS),
        "POLL_SECONDS": str(POLL_SECONDS),
        "SPOT_GRACE_SECONDS": str(SPOT_GRACE_SECONDS),
    }
    # The first is read by a shell, the second by docker, which takes each line as it is.
    node_lines = "\n".join(f"{name}={shlex.quote(value)}" for name, value in single_lines(node).items())
    server = server_environment(boot.engine, boot.image, boot.urls)
    server_lines = "\n".join(f"{name}={value}" for name, value in single_lines(server).items())
    template = TEMPLATE.read_text(encoding="utf-8")
    # At once, so that no value is searched for the other's place.
    places = {"@NODE_ENV@": node_lines, "@SERVER_ENV@": server_lines}
    return "#!/bin/bash\n" + re.sub("|".join(places), lambda match: places[match[0]], template)
