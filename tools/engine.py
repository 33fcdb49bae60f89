"""The environment of the `indextts2` engine on this machine: `python -m tools.engine`.

Its packages take about 8 GB and are in no other environment; the local target's servers run there when the stack says
`engine.name: indextts2`.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tools import virtualenv
from tools.checkout import Checkout, here
from tools.failure import SetupError, exit_status

# What pip needs while it works: the packages, and the wheels from which it takes them.
NEEDED_BYTES = 14 * 10**9
_PARTS = ("", "-gpu", "-aws", "-traces", "-indextts2")
# The files list all that is needed: what they leave out of their packages' dependencies is left out on purpose.
_WHEELS = ("--no-deps", "--only-binary", ":all:")
# Packages that nobody builds a wheel of, built by the setuptools among the others.
_SOURCES = ("--no-deps", "--no-build-isolation", "--use-pep517")


def environment(checkout: Checkout) -> Path:
    """Where it is; components/local/engine.py looks for it there."""
    return checkout.local / "engine"


def make(checkout: Checkout) -> None:
    """Leaves the environment filled, with this checkout's server in it. Raises SetupError."""
    venv = environment(checkout)
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SetupError(f"the engine's packages are for Linux on x86_64; this is {sys.platform} {platform.machine()}")
    checkout.local.mkdir(mode=0o700, exist_ok=True)
    free = shutil.disk_usage(checkout.local).free
    if not venv.exists() and free < NEEDED_BYTES:
        raise SetupError(
            f"{checkout.local}: {free / 1e9:.1f} GB are free, and the engine's packages take about "
            f"{NEEDED_BYTES / 1e9:.0f} while they are installed; free some, or make .local a link to another disk"
        )
    folder = checkout.root / "inference"
    parts = [folder / f"requirements{part}.txt" for part in _PARTS]
    virtualenv.ensure_separate(checkout, venv, *parts, options=_WHEELS)
    virtualenv.ensure_separate(checkout, venv, folder / "requirements-indextts2-source.txt", options=_SOURCES)
    ask = [str(venv / "bin" / "python"), "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    # As in the container: the server's code is found, not installed.
    (packages / "speech_server.pth").write_text(f"{folder}\n", encoding="utf-8")


def main(_arguments: list[str]) -> None:
    """Makes it for this checkout."""
    make(here())


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
