"""A Docker daemon of this run's own: its socket, its data and everything it starts lie in one folder and go with it.

No container registry is needed. The base image is a stand-in, made from Debian's packages: it proves the Dockerfile's
steps and what runs in the container, not the official Python image that a release is built on.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import psutil

PACKAGES = ("docker.io", "debootstrap", "iptables")
# Debian's own client: it has BuildKit built in, which another one earlier on PATH may lack.
DOCKER = "/usr/bin/docker"
STAND_IN = "stand-in/python:bookworm"
_AUTHORITIES = Path("/usr/local/share/ca-certificates")


class ContainerEngineError(Exception):
    """What the daemon, its client or debootstrap said as it failed."""


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `condition` returns as soon as it is truthy. Raises ContainerEngineError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise ContainerEngineError(f"not within {seconds} s: {condition}")
        time.sleep(0.05)
    return found


def why_not_here() -> str | None:
    """The reason why no daemon can be had on this machine, or None."""
    if os.geteuid() != 0:
        return "a Docker daemon of its own needs root: call make with sudo"
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return "a Docker daemon of its own is installed from Debian's packages, and this is no Linux distribution"
    if system.get("ID") != "debian":
        return f"a Docker daemon of its own is installed from Debian's packages, and this is {system.get('ID')}"
    return None


def install_packages() -> str | None:
    """Install what is missing from Debian. The reason why that failed, or None."""
    query = subprocess.run(["dpkg-query", "--show", *PACKAGES], capture_output=True)
    if query.returncode == 0 and Path(DOCKER).exists():
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            return f"apt-get {command[0]} failed: {done.stderr.strip()[-300:]}"
    return None


class ContainerEngine:
    """`start()`, then `docker(...)`; `remove()` ends and unmounts everything, however far it came.

    Each raises ContainerEngineError.
    """

    def __init__(self) -> None:
        # Not below pytest's own directory: a unix socket's path may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="indextts2-image-"))
        self._socket = f"unix://{self.folder}/docker.sock"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "DOCKER_HOST": self._socket,
            "DOCKER_CONFIG": str(self.folder / "client"),
            "DOCKER_BUILDKIT": "1",
        }

    def start(self) -> None:
        """The daemon, and in it the stand-in base. It changes neither the firewall nor the network of the machine."""
        log = (self.folder / "dockerd.log").open("wb")
        folders = [f"--{name}={self.folder / name}" for name in ("data-root", "exec-root", "pidfile")]
        network = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"]
        command = ["/usr/sbin/dockerd", "--host", self._socket, *folders, *network]
        self._daemon = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        log.close()
        until(self._answers)
        self._make_stand_in()

    def docker(self, *arguments: str, check: bool = True) -> str:
        """One docker command's output, both streams. Raises ContainerEngineError with the end of it."""
        done = subprocess.run(
            [DOCKER, *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        if check and done.returncode != 0:
            raise ContainerEngineError(f"docker {' '.join(arguments)}: {done.stdout[-6000:]}")
        return done.stdout

    def build(
        self, context: Path, tag: str, *options: str, arguments: Mapping[str, str] | None = None, target: str = "cpu"
    ) -> None:
        """`docker build` on the stand-in base; a package index that the caller set is passed on."""
        given = {"BASE_IMAGE": STAND_IN, **(arguments or {})}
        if index := os.environ.get("PIP_INDEX_URL"):
            given["PIP_INDEX_URL"] = index
        flags = [f"--build-arg={name}={value}" for name, value in given.items()]
        self.docker(
            "build",
            "--network=host",
            "--progress=plain",
            f"--target={target}",
            f"--tag={tag}",
            *flags,
            *options,
            str(context),
        )

    def remove(self) -> None:
        """End the containers and the daemon, unmount, remove the folder. Raises also if a process outlived them."""
        if self._daemon is not None:
            if self._daemon.poll() is None:
                containers = self.docker("ps", "--all", "--quiet", check=False).split()
                if containers:
                    self.docker("rm", "--force", *containers, check=False)
                self._daemon.terminate()
            try:
                self._daemon.wait(30)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait(10)
        # A container's shim and containerd carry the folder in their command lines.
        left = [process for process in psutil.process_iter(["cmdline"]) if self._is_ours(process)]
        for process in left:
            process.kill()
        # The daemon itself leaves the mount of its network namespace.
        for mount in self._mounts():
            _run(["umount", mount])
        shutil.rmtree(self.folder)
        if left:
            raise ContainerEngineError(f"processes outlived the daemon: {left}")

    def _is_ours(self, process: psutil.Process) -> bool:
        return any(str(self.folder) in argument for argument in process.info["cmdline"] or [])

    def _mounts(self) -> list[str]:
        """What is mounted below the folder, innermost first."""
        lines = Path("/proc/self/mounts").read_text("utf-8").splitlines()
        return sorted(
            (line.split()[1] for line in lines if line.split()[1].startswith(f"{self.folder}/")), reverse=True
        )

    def _answers(self) -> bool:
        assert self._daemon is not None
        if self._daemon.poll() is not None:
            raise ContainerEngineError("dockerd ended: " + (self.folder / "dockerd.log").read_text("utf-8")[-3000:])
        return subprocess.run([DOCKER, "version"], env=self._environment, capture_output=True).returncode == 0

    def _make_stand_in(self) -> None:
        root = self.folder / "root"
        packages = "ca-certificates,python3,python3-pip,python3-venv"
        _run(["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root)])
        for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
            marker.unlink()
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        (root / "usr/local/bin/pip").symlink_to("/usr/bin/pip3")
        for waste in (*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*_*")):
            waste.unlink()
        # Where the package index is served under an authority of the site's own, the base must know it.
        if _AUTHORITIES.is_dir():
            shutil.copytree(_AUTHORITIES, root / "usr/local/share/ca-certificates", dirs_exist_ok=True)
            _run(["chroot", str(root), "update-ca-certificates"])
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
            assert tar.stdout is not None
            change = "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt"
            _run([DOCKER, "import", "--change", change, "-", STAND_IN], self._environment, tar.stdout)
        if tar.returncode != 0:
            raise ContainerEngineError(f"tar of the stand-in base ended with status {tar.returncode}")
        shutil.rmtree(root)


def _run(command: list[str], environment: Mapping[str, str] | None = None, given: IO[bytes] | None = None) -> None:
    done = subprocess.run(command, env=environment, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise ContainerEngineError(f"{' '.join(command)}: {done.stdout.decode(errors='replace')[-3000:]}")
