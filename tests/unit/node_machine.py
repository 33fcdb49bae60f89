"""A machine on which a node's shared scripts run: with stand-ins for docker and sleep that record what they are asked.

Processes, because what counts is what the shell does.
"""

import os
import subprocess

from components.node_scripts import SCRIPTS

IMAGE = f"registry.example.com/speech@sha256:{'a' * 64}"
STAND_IN = """#!/bin/bash
printf '%s\\n' "$(basename "$0") $*" >> "$ANSWERS/calls"
if [[ -f $ANSWERS/$(basename "$0").sh ]]; then . "$ANSWERS/$(basename "$0").sh"; fi
"""


class Machine:
    """Below `root`; a stand-in does what the file of its name there says."""

    def __init__(self, root):
        self.root = root
        for name in ("docker", "sleep"):
            (root / name).write_text(STAND_IN)
            (root / name).chmod(0o755)

    def answer(self, name, text):
        (self.root / f"{name}.sh").write_text(text)

    def start(self, script, *arguments, **settings):
        """In a session of its own, as systemd starts it."""
        return subprocess.Popen(
            ["bash", str(SCRIPTS[script]), *arguments],
            env={
                "PATH": f"{self.root}:{os.environ['PATH']}",
                "ANSWERS": str(self.root),
                "IMAGE": IMAGE,
                "REGISTRY_HOST": "registry.example.com",
                "SERVER_UID": "10001",
                "WEIGHTS_DIR": "/fast/weights",
                "RUN_DIR": str(self.root / "run"),
                **settings,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, script, *arguments, **settings):
        process = self.start(script, *arguments, **settings)
        stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def calls(self, name):
        path = self.root / "calls"
        return [call for call in path.read_text().splitlines() if call.startswith(name)] if path.exists() else []
