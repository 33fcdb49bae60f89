"""What a new instance runs at its first boot."""

from __future__ import annotations

import base64
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from components.aws.timing import START_SECONDS, STOP_SECONDS
from components.contracts import SERVER_PORT
from components.node_scripts import SCRIPTS
from components.node_weights import weights_environment
from components.packed_script import packed
from components.server_environment import SERVER_UID, ServerUrls, server_environment, single_lines
from components.settings import EngineSettings, WeightsSettings

SETTINGS = Path(__file__).with_name("user_data.sh")
PROGRAMS = Path(__file__).with_name("boot.sh")
# Of the raw script: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
MAX_BYTES = 16_384

# The namespace of what nodes report; their role may write to no other.
NAMESPACE = "IndexTTS2"
# How often a node asks whether it is to go; a spot notice comes two minutes before the end.
POLL_SECONDS = 5
# What the group is given, after a spot notice, to take the node out of the load balancer.
SPOT_GRACE_SECONDS = 20
# What is left after both of the notice's two minutes for what the server speaks, and ten to spare.
SPOT_WORK_SECONDS = 85


@dataclass(frozen=True)
class Boot:
    """What an instance must know of its stack."""

    region: str
    fleet: str
    hook: str
    image: str
    weights_image: str
    """What brings the weights while the other is pulled; empty: the other brings them too, once it is there."""
    registry_host: str
    """The registry to log in to with the instance's role; empty for a registry that is open to all."""
    keys_secret: str
    log_group: str
    engine: EngineSettings
    weights: WeightsSettings
    urls: ServerUrls


def user_data(boot: Boot) -> str:
    """The script in base64, as a launch template takes it.

    Raises ValueError if the script is longer than an instance accepts, or a value could not stand in a file's line.
    """
    script = settings(boot) + packed(programs())
    if len(script.encode()) >= MAX_BYTES:
        raise ValueError(f"the user data has {len(script.encode())} bytes, and AWS takes less than {MAX_BYTES}")
    return base64.b64encode(script.encode()).decode()


def render(boot: Boot) -> str:
    """The script itself, with nothing packed."""
    return settings(boot) + programs()


def settings(boot: Boot) -> str:
    """Its first part, which writes down what the instance must know."""
    node = {
        "REGION": boot.region,
        "FLEET": boot.fleet,
        "HOOK": boot.hook,
        "IMAGE": boot.image,
        "WEIGHTS_IMAGE": boot.weights_image,
        "REGISTRY_HOST": boot.registry_host,
        "KEYS_SECRET": boot.keys_secret,
        "LOG_GROUP": boot.log_group,
        "NAMESPACE": NAMESPACE,
        "SERVER_PORT": str(SERVER_PORT),
        "SERVER_UID": str(SERVER_UID),
        "STOP_SECONDS": str(STOP_SECONDS),
        "POLL_SECONDS": str(POLL_SECONDS),
        "SPOT_GRACE_SECONDS": str(SPOT_GRACE_SECONDS),
        "SPOT_WORK_SECONDS": str(SPOT_WORK_SECONDS),
        "START_SECONDS": str(START_SECONDS),
        "WEIGHTS": boot.weights.name or "",
        "WEIGHTS_DIR": "",  # the script finds out where
    }
    server = server_environment(boot.engine, boot.image, boot.urls)
    weights = weights_environment(boot.weights, boot.urls.store)
    # The first is read by a shell, the others by docker, which takes each line as it is.
    places = {
        "@NODE_ENV@": "\n".join(f"{name}={shlex.quote(value)}" for name, value in single_lines(node).items()),
        "@SERVER_ENV@": "\n".join(f"{name}={value}" for name, value in single_lines(server).items()),
        "@WEIGHTS_ENV@": "\n".join(f"{name}={value}" for name, value in single_lines(weights).items()),
    }
    template = SETTINGS.read_text(encoding="utf-8")
    # At once, so that no value is searched for the other's place.
    return "#!/bin/bash\n" + re.sub("|".join(places), lambda match: places[match[0]], template)


def programs() -> str:
    """Its second part, the same on every instance."""
    written = "\n".join(
        f"cat > /usr/local/lib/indextts2/{name} <<'END_OF_FILE'\n{path.read_text(encoding='utf-8')}END_OF_FILE"
        for name, path in SCRIPTS.items()
    )
    return PROGRAMS.read_text(encoding="utf-8").replace("@SCRIPTS@", written)
