"""An instance of any cloud that was just started, and what its operator and its clients see of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.node.machine import INSIDE, PACKAGES, Machine

KEY = "a-key-of-the-dubbing-team-0123456789abcdef"
IMAGE_CONFIG = {
    "env": {
        "PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/work",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
        # A Python with a library of its own knows it by a path that the container's user may not enter.
        "LD_LIBRARY_PATH": f"{INSIDE}/python/lib",
    },
    "entrypoint": ["python", "-m", "speech_server"],
    "cmd": ["serve"],
}  # fmt: skip


class Instance:
    """Docker is a stand-in (standins/docker.py); the instance's cloud is a subclass's."""

    log_file: str

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.stand_in("docker", "docker.py")
        machine.write(
            "/etc/systemd/system/docker.service",
            "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
        )

    def try_often(self) -> None:
        """A unit that fails pauses for a moment and is never given up, so that a test waits for no pause."""
        self.machine.write(
            "/etc/systemd/system/indextts2-server.service.d/often.conf",
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=500ms\n",
        )

    def offer(self, image: str, password: str) -> None:
        """There is this image, and no other, in a registry that wants this password."""
        self.offer_all({image: {}}, password)

    def offer_all(self, images: Mapping[str, Mapping[str, Any]], password: str) -> None:
        """These images, each with what differs from the usual one."""
        found = {image: {**IMAGE_CONFIG, "password": password, **differs} for image, differs in images.items()}
        self.machine.write("/var/lib/stand-in-registry.json", json.dumps(found))

    def run_user_data(self, script: str) -> None:
        """As cloud-init does."""
        self.machine.write("/var/lib/cloud/user-data.sh", script, 0o700)
        done = self.machine.run("/bin/bash", "/var/lib/cloud/user-data.sh")
        assert done.returncode == 0, done.stderr

    def get(self, path: str, key: str | None = None) -> tuple[int, str]:
        """Status and body; 0 where nobody listens."""
        headers = () if key is None else ("-H", f"Authorization: Bearer {key}")
        url = f"http://127.0.0.1:8000{path}"
        done = self.machine.run("curl", "-s", "-m", "10", "-w", "\n%{http_code}", *headers, url)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def log(self) -> str:
        return self.machine.read(self.log_file)

    def all_logs(self) -> str:
        return self.log() + self.machine.read("/var/log/container-speech.log")

    def try_now(self) -> None:
        """Have the server's unit tried again at once, and not when its pause is over; the log begins anew."""
        self.machine.run("truncate", "-s", "0", self.log_file)
        self.machine.run("systemctl", "start", "--no-block", "indextts2-server.service")


def check_it_speaks(node: Instance) -> None:
    done = node.machine.run(
        "curl", "-sf", "-o", "/tmp/clip.wav", "-H", f"Authorization: Bearer {KEY}",
        "-H", "Content-Type: application/json", "-d", '{"text": "你好, world"}', "http://127.0.0.1:8000/generate",
    )  # fmt: skip
    assert done.returncode == 0, node.all_logs()
    assert node.machine.run("head", "-c", "4", "/tmp/clip.wav").stdout == "RIFF"


def check_the_weights_came(node: Instance, folder: str) -> None:
    """Whole, for the server's user alone to write, and timed beside the image."""
    assert "sync-weights: /weights holds weights/set/, version 2.5, verified" in node.log()
    assert node.machine.run("stat", "-c", "%u", f"{folder}/gpt.pth").stdout == "10001\n"
    assert {"image", "weights"} <= json.loads(node.machine.read("/run/indextts2/phases.json")).keys()


def check_it_is_bounded(node: Instance) -> None:
    """The server has no rights that it does not need, and nobody but it has the keys."""
    pid = node.machine.systemctl("show", "-p", "MainPID", "--value", "container-speech.service")
    status = node.machine.read(f"/proc/{pid}/status")
    assert "Uid:\t10001\t10001" in status
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert node.machine.run("stat", "-c", "%u:%a", "/run/indextts2/keys/keys.json").stdout == "10001:400\n"
    assert KEY not in node.machine.run("ps", "axwwe").stdout
    assert KEY not in node.all_logs()


def check_units(node: Instance) -> None:
    """systemd finds nothing wrong with what the user data left."""
    found = node.machine.run(
        "sh", "-c", "ls /etc/systemd/system/indextts2-*.service /etc/systemd/system/indextts2-*.timer"
    )
    done = node.machine.run("systemd-analyze", "verify", *found.stdout.split())
    assert (done.returncode, done.stderr) == (0, "")


def state(node: Instance, follower: str) -> str:
    """What a second run of the user data must leave as it is; `follower` is the unit that waits for the end."""
    files = "find /etc/indextts2 /etc/systemd/system /usr/local/lib/indextts2 -type f | sort | xargs sha256sum"
    processes = node.machine.systemctl("show", "-p", "MainPID", "container-speech.service", follower)
    return node.machine.run("sh", "-c", files).stdout + processes
