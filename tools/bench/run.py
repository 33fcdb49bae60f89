"""`make bench`: how fast the program and the server are, as ratios within this one run.

A machine's speed differs from day to day; a ratio against something bare, measured in turn with it, differs less.
`--only setup|program|server|engines|jobs|weights|image` measures a part.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "inference")]

from tools.bench import engines, image, jobs, program, server, setup, weights  # noqa: E402 - found by the line above
from tools.bench.figures import Row, table  # noqa: E402

PARTS: dict[str, Callable[[], list[Row]]] = {
    "setup": setup.measure,
    "program": program.measure,
    "server": server.measure,
    "engines": engines.measure,
    "jobs": jobs.measure,
    "weights": weights.measure,
    "image": image.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part (more than once: these)")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, medians", flush=True)
    for part in arguments.only or PARTS:
        print(f"\n{part}", flush=True)
        print(table(PARTS[part]()), flush=True)


if __name__ == "__main__":
    main()
