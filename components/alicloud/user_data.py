"""What a new instance runs at its first boot."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass
from pathlib import Path

from components.alicloud.timing import START_SECONDS, STOP_SECONDS
from components.contracts import SERVER_PORT
from components.node_scripts import SCRIPTS
from components.node_weights import weights_environment
from components.packed_script import packed
from components.server_environment import KEYS_FILE, SERVER_UID, ServerUrls, server_environment, single_lines
from components.settings import EngineSettings, WeightsSettings

TEMPLATE = Path(__file__).with_name("user_data.sh")
PROGRAMS = Path(__file__).with_name("node")
# Of the raw script: https://www.alibabacloud.com/help/en/ecs/user-guide/customize-the-initialization-configuration-for-an-instance
MAX_BYTES = 32_768

RUN_DIR = "/run/indextts2"
# On the system disk, whose size the settings answer for.
WEIGHTS_DIR = "/var/lib/indextts2/weights"
# How often a node asks its metadata service whether it is to go (a spot notice comes five minutes before the end), and
# how often its group, whose calls are counted for the whole account.
POLL_SECONDS = 5
GROUP_SECONDS = 15
# What the group is given, after a spot notice, to take the node out of the load balancer.
SPOT_GRACE_SECONDS = 30
# What is left after that of the notice's five minutes for what the server speaks, and half a minute to spare.
SPOT_WORK_SECONDS = 235


_START = """\
#!/bin/bash
# What an instance does at its first boot. Running it again changes nothing.
set -euo pipefail
umask 022
install -d /etc/indextts2 /usr/local/lib/indextts2
"""


@dataclass(frozen=True)
class Boot:
    """What an instance must know of its stack."""

    region: str
    fleet: str
    image: str
    weights_image: str
    """What brings the weights while the other is pulled; empty: the other brings them too, once it is there."""
    registry_host: str
    """The registry to log in to; empty for one that is open to all."""
    registry_instance: str
    """Of an Enterprise registry the instance, whose password the node's role asks for; else empty."""
    registry_user: str
    registry_password: str
    """The name of the encrypted parameter that holds the password; empty where there is none."""
    keys_kind: str
    """`parameter` or `kms`."""
    keys_name: str
    metric_group: str
    """The id of CloudMonitor's application group that the figures go to."""
    engine: EngineSettings
    weights: WeightsSettings
    urls: ServerUrls


def user_data(boot: Boot) -> str:
    """The script in base64, as a launch template takes it.

    Raises ValueError if the script is longer than an instance accepts, or a value could not stand in a file's line.
    """
    script = settings(boot) + packed(boot_script())
    if len(script.encode()) > MAX_BYTES:
        raise ValueError(f"the user data has {len(script.encode())} bytes, and Alibaba Cloud takes {MAX_BYTES}")
    return base64.b64encode(script.encode()).decode()


def render(boot: Boot) -> str:
    """The script itself, with nothing packed."""
    return settings(boot) + boot_script()


def settings(boot: Boot) -> str:
    """Its first part, which writes down what the instance must know."""
    node = {
        "REGION": boot.region,
        "FLEET": boot.fleet,
        "IMAGE": boot.image,
        "WEIGHTS_IMAGE": boot.weights_image,
        "REGISTRY_HOST": boot.registry_host,
        "REGISTRY_INSTANCE": boot.registry_instance,
        "REGISTRY_USER": boot.registry_user,
        "REGISTRY_PASSWORD": boot.registry_password,
        "KEYS_KIND": boot.keys_kind,
        "KEYS_NAME": boot.keys_name,
        "KEYS_FILE": KEYS_FILE,
        "METRIC_GROUP": boot.metric_group,
        "SERVER_PORT": str(SERVER_PORT),
        "SERVER_UID": str(SERVER_UID),
        "STOP_SECONDS": str(STOP_SECONDS),
        "POLL_SECONDS": str(POLL_SECONDS),
        "GROUP_SECONDS": str(GROUP_SECONDS),
        "SPOT_GRACE_SECONDS": str(SPOT_GRACE_SECONDS),
        "SPOT_WORK_SECONDS": str(SPOT_WORK_SECONDS),
        "START_SECONDS": str(START_SECONDS),
        "WEIGHTS_DIR": WEIGHTS_DIR if boot.weights.name else "",
        "RUN_DIR": RUN_DIR,
        "LIB_DIR": "/var/lib",
    }
    server = server_environment(boot.engine, boot.image, boot.urls)
    weights = weights_environment(boot.weights, boot.urls.store)
    # The first is read by a shell and by systemd, the others by docker, which takes each line as it is.
    files = {
        "/etc/indextts2/node.env": "\n".join(f"{name}={_quoted(value)}" for name, value in single_lines(node).items()),
        "/etc/indextts2/server.env": "\n".join(f"{name}={value}" for name, value in single_lines(server).items()),
        "/etc/indextts2/weights.env": "\n".join(f"{name}={value}" for name, value in single_lines(weights).items()),
    }
    return "\n".join([_START, *(_here_document(path, text) for path, text in files.items()), ""])


def boot_script() -> str:
    """Its second part, the same on every instance."""
    written = "\n".join(
        _here_document(f"$lib/node/{name}", path.read_text(encoding="utf-8").rstrip("\n"))
        for name, path in programs().items()
    )
    return TEMPLATE.read_text(encoding="utf-8").replace("@PROGRAMS@", written)


def programs() -> dict[str, Path]:
    """What travels to the node, by its name there."""
    own = sorted(path for path in PROGRAMS.iterdir() if path.suffix in (".py", ".sh"))
    return {**{path.name: path for path in own}, **SCRIPTS}


def _here_document(path: str, text: str) -> str:
    return f"cat > \"{path}\" <<'END_OF_FILE'\n{text}\nEND_OF_FILE"


def _quoted(value: str) -> str:
    """For a shell and for systemd's EnvironmentFile, which both read single quotes; neither can have one within them
    in a form that the other reads."""
    if "'" in value:
        raise ValueError(f"{value!r}: a value in the user data must have no single quote")
    return shlex.quote(value)
