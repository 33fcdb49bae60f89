"""Python's `venv` module, which Debian and Ubuntu keep in a package of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

from tools.failure import SetupError
from tools.follow import follow
from tools.progress import Step


def ensure_venv_module(current: Step) -> None:
    """Installs the module's Debian package where that needs no question; otherwise raises SetupError with the command.

    `venv` itself is always importable there: what is missing is `ensurepip`, without which it makes no usable
    environment.
    """
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if shutil.which("apt-get") is None:
        raise SetupError(f"{sys.executable} lacks the modules venv and ensurepip: install your system's {package}")
    prefix = _administrator()
    if prefix is None:
        raise SetupError(
            f"{sys.executable} lacks the module ensurepip. Run this, then this command again:\n"
            f"    sudo apt-get install {package}"
        )
    current.say(f"installing the system package {package}, which Python needs to make an environment")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*prefix, "apt-get", "install", "--yes", "--no-install-recommends", package]
    finished = follow(install, lambda line: current.live(line.strip() or "apt-get"), env=environment)
    if finished.status != 0:  # a fresh image has no package lists
        follow([*prefix, "apt-get", "update"], lambda line: current.live(line.strip() or "apt-get"), env=environment)
        finished = follow(install, lambda line: current.live(line.strip() or "apt-get"), env=environment)
    importlib.invalidate_caches()
    if finished.status != 0 or not importlib.util.find_spec("ensurepip"):
        raise SetupError(f"apt-get could not install {package}:\n{finished.last(8)}")


def _administrator() -> list[str] | None:
    """What to put before a command so that it runs as root without a question; None when there is no such way."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if asked.returncode == 0 else None
