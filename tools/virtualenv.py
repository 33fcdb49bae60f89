"""The checkout's Python environment `.venv`: made, mended and filled from the pinned requirements."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

from tools.checkout import Checkout
from tools.failure import SetupError
from tools.follow import Finished, follow
from tools.pip_advice import pip_advice
from tools.progress import Step, step
from tools.venv_module import ensure_venv_module

# Inside .venv, so that they go when it goes.
_STAMPS = "indextts2-set-up"
_INSTALLING = "installing"


def ensure(checkout: Checkout, requirements: str) -> None:
    """Leaves a working `.venv` with `requirements-<requirements>.txt` and the `indextts2` command in it.

    Whatever was installed is stamped by content, last of all: a run that was killed leaves no stamp, and one that was
    killed while pip was writing leaves a mark, upon which the environment is made anew. Raises SetupError.
    """
    file = checkout.requirements(requirements)
    if not file.is_file():
        raise SetupError(f"{file.name} does not exist: this checkout has no target {requirements!r}")
    project = checkout.root / "inference" / "pyproject.toml"
    if not project.is_file():
        raise SetupError(
            "inference/pyproject.toml is missing: the checkout is not whole; `git status` shows what is gone"
        )

    with step(f"Python {sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}") as current:
        reason = why_unusable(checkout.venv)
        if reason is None:
            current.done(".venv is there")
        else:
            ensure_venv_module(current)
            _make(checkout.venv, reason, current)

    with step(f"Python packages ({file.name})") as current:
        options = ["--require-hashes", "--requirement", str(file)]
        _install(checkout.venv, checkout.root, f"requirements-{requirements}", (file,), options, current)
    with step("Command indextts2") as current:
        # setuptools is one of the pinned requirements: without build isolation nothing is downloaded for this.
        options = ["--no-deps", "--no-build-isolation", "--editable", str(project.parent)]
        _install(checkout.venv, checkout.root, "command", (project,), options, current)


def ensure_separate(checkout: Checkout, venv: Path, *requirements: Path, options: Sequence[str] = ()) -> None:
    """An environment of its own for what cannot share `.venv`, made, mended and filled in the same way.

    All files go to pip at once, with pip's `options`; the last one names the step.
    """
    for file in requirements:
        if not file.is_file():
            raise SetupError(f"{file} is missing: the checkout is not whole; `git status` shows what is gone")
    last = requirements[-1]
    with step(f"Python packages ({last.parent.name}/{last.name})") as current, _alone(venv):
        reason = why_unusable(venv)
        if reason is not None:
            ensure_venv_module(current)
            _make(venv, reason, current)
        files = [option for file in requirements for option in ("-r", str(file))]
        _install(venv, checkout.root, last.stem, requirements, ["--require-hashes", *options, *files], current)


@contextlib.contextmanager
def _alone(venv: Path) -> Generator[None]:
    """Two at once would each take the other's half-made environment for a broken one and remove it."""
    with (venv.parent / f"{venv.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # goes with its process, however that ends
        yield


def why_unusable(venv: Path) -> str | None:
    """Why `.venv` cannot be kept, None when it can."""
    if not venv.exists():
        return "none yet"
    python = venv / "bin" / "python"
    try:
        answer = subprocess.run(
            [python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "its Python does not start"
    wanted = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if answer != wanted:
        return f"it has Python {answer}"
    pip = venv / "bin" / "pip"
    # A script names its interpreter's full path, in its first lines: another path means that the checkout was moved.
    if not pip.is_file() or os.fsencode(venv / "bin") not in pip.read_bytes()[:4096]:
        return "it was made at another path"
    if (venv / _STAMPS / _INSTALLING).exists():
        return "an installation into it was cut short"
    return None


def _make(venv: Path, reason: str, current: Step) -> None:
    if venv.is_symlink():
        raise SetupError(f"{venv} is a link and unusable ({reason}); remove it, then run this again")
    if venv.exists():
        current.say(f"making .venv anew: {reason}")
        shutil.rmtree(venv)
    finished = follow([sys.executable, "-m", "venv", str(venv)], lambda _line: current.live("making .venv"))
    if finished.status != 0:
        shutil.rmtree(venv, ignore_errors=True)
        raise SetupError(f"`{sys.executable} -m venv .venv` failed:\n{finished.last(8)}")
    current.done("made .venv")


def _install(venv: Path, root: Path, name: str, sources: Sequence[Path], options: list[str], current: Step) -> None:
    stamps = venv / _STAMPS
    stamp = stamps / name
    contents = [source.read_bytes() for source in sources]
    digest = hashlib.sha256(b"\0".join([sys.version.encode(), *contents])).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        current.done("up to date")
        return

    stamps.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)
    installing = stamps / _INSTALLING
    installing.touch()
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--progress-bar", "off", *options]
    # Where packages come from (index, proxy, certificates) is the user's own pip configuration: nothing here sets it.
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    finished = follow(command, lambda line: current.live(_short(line)), env=environment, cwd=root)
    if finished.status != 0:
        advice = pip_advice("\n".join(finished.tail))
        if advice.undone:  # pip gave up before or undid what it wrote: the environment is as it was
            installing.unlink()
        raise SetupError(f"pip could not install {sources[-1].name}:\n{_last_words(finished)}\n\n{advice.text}")
    stamp.write_text(digest)
    installing.unlink()
    current.done("installed")


def _last_words(finished: Finished) -> str:
    """pip's last lines without the many that say nothing of the failure."""
    noise = ("Ignoring ", "WARNING: Retrying", "Requirement already satisfied")
    return "\n".join(f"    {line}" for line in [line for line in finished.tail if not line.startswith(noise)][-10:])


def _short(line: str) -> str:
    """pip's line without its column of blanks; a sign of life while it says nothing."""
    return " ".join(line.split()) or "pip is working"
