"""What an interpreter has of the `indextts2` engine, by asking it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROBE = Path(__file__).with_name("engine_probe.py")
ANSWER_SECONDS = 120  # a cold disk


@dataclass(frozen=True)
class Packages:
    """What was found. Sizes are bytes of the weights' files, 0 where there are none."""

    missing: tuple[str, ...]
    cuda: int | None
    """The major version of the CUDA libraries that torch brings along."""
    weights: str | None
    """Why the engine would not load the weights; None where it would."""
    largest_weights: int = 0
    all_weights: int = 0


def ask(interpreter: Path, version: str, weights: Path) -> Packages | str:
    """Of `version` of the model and the folder `weights`; a text says why the interpreter cannot be asked."""
    if not interpreter.exists():
        return f"{interpreter} does not exist"
    command = [str(interpreter), "-I", str(PROBE), version, str(weights)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        return Packages(tuple(found["missing"]), found["cuda"], found["weights"], found["largest"], found["all"])
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{interpreter} does not run ({error})"
    except (ValueError, IndexError, KeyError, TypeError):
        return f"{interpreter} is no Python that can be asked ({done.stderr.strip()[-200:]!a})"
