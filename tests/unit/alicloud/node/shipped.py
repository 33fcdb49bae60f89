"""The programs of a node as its user data brings them, run as processes below a directory of the test's.

Processes, because what counts is what arrives on the node and what it does there. Docker and systemd are stand-ins of
the same names, first on PATH, that record what they are asked; the cloud is tests/alicloud_for_nodes.py.
"""

import os
import re
import shlex
import subprocess
import sys
import time

from components.alicloud.user_data import render
from tests.unit.alicloud.boot import BOOT

# Each records its name and arguments, then does what the file of its name in $ANSWERS says.
STAND_IN = """#!/bin/bash
printf '%s\\n' "$(basename "$0") $*" >> "$ANSWERS/calls"
if [[ -f $ANSWERS/$(basename "$0").sh ]]; then . "$ANSWERS/$(basename "$0").sh"; fi
"""
# Quicker than on a real node, and where a test may write.
FASTER = {"POLL_SECONDS": "0.02", "GROUP_SECONDS": "0.02", "SPOT_GRACE_SECONDS": "0"}


def files_of(script):
    """Every file that the boot script writes, by its path there."""
    found = re.finditer(r"^cat > \"([^\"]+)\" <<'END_OF_FILE'\n(.*?)\nEND_OF_FILE$", script, re.S | re.M)
    return {match[1]: match[2] + "\n" for match in found}


def settings_of(script):
    """The node's settings as a shell reads them."""
    lines = files_of(script)["/etc/indextts2/node.env"].splitlines()
    return {name: shlex.split(value)[0] if value else "" for name, _, value in (line.partition("=") for line in lines)}


class Shipped:
    """The programs below `root`, and what was asked of the machine around them."""

    def __init__(self, root, url, boot=BOOT, **settings):
        self.root = root
        self.answers = root / "answers"
        self.run_dir = root / "run"
        for folder in ("answers", "bin", "lib/node", "run/keys", "var"):
            (root / folder).mkdir(parents=True)
        for name in ("docker", "systemctl"):
            self.stand_in(name)
        script = render(boot)
        for path, text in files_of(script).items():
            if path.startswith("$lib/node/"):
                (root / "lib/node" / path.rpartition("/")[2]).write_text(text, encoding="utf-8")
        self.settings = {
            **settings_of(script),
            **FASTER,
            "RUN_DIR": str(self.run_dir),
            "LIB_DIR": str(root / "var"),
            "KEYS_FILE": str(self.run_dir / "keys/keys.json"),
            "SERVER_UID": str(os.getuid()),
            "API_URL": url,
            "METADATA_URL": f"{url}/latest",
            **settings,
        }

    def stand_in(self, name):
        path = self.root / "bin" / name
        path.write_text(STAND_IN)
        path.chmod(0o755)

    def answer(self, name, text):
        (self.answers / name).write_text(text)

    def environment(self):
        return {
            **self.settings,
            "PATH": f"{self.root}/bin:{os.path.dirname(sys.executable)}:{os.environ['PATH']}",  # noqa: PTH120 - text
            "ANSWERS": str(self.answers),
            "PYTHONPATH": str(self.root / "lib"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, program, *, check=True):
        """Runs a program of the package, or a script of its folder, to its end."""
        return subprocess.run(
            self.command(program), env=self.environment(), capture_output=True, text=True, timeout=60, check=check
        )

    def prepare(self, *, check=True):
        """What the server's unit runs before it."""
        return subprocess.run(
            [*self.command("prepare.sh"), *self.command("registry")],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    def start(self, program):
        return subprocess.Popen(self.command(program), env=self.environment(), stderr=subprocess.DEVNULL)

    def command(self, program):
        if program.endswith(".sh"):
            return ["bash", str(self.root / "lib/node" / program)]
        return [sys.executable, "-W", "error", "-m", f"node.{program}"]

    @property
    def calls(self):
        path = self.answers / "calls"
        return path.read_text().splitlines() if path.exists() else []


def until(condition):
    """Waits for `condition`; the test's own time limit is the only one."""
    while not condition():
        time.sleep(0.01)
