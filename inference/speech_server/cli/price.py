"""`indextts2 price`: what the stacks of a checkout cost. The figures and the settings are the checkout's."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

_EPILOG = """\
examples, in a checkout:
  indextts2 price dev prod
  indextts2 price dev --region us-west-2 --region ap-northeast-1
  indextts2 price prod --instance-type g4dn.xlarge --instance-type g5.xlarge
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("stack", nargs="+", help="a stack of the checkout that you are in")
    parser.add_argument("--region", action="append", default=[], help="as if it were there; may be given several times")
    parser.add_argument("--instance-type", action="append", default=[], help="as if its nodes were of this type")
    parser.add_argument("--table-only", action="store_true", help="the published figures, even where AWS would answer")


def run(options: argparse.Namespace) -> int:
    checkout = find_checkout(Path.cwd())
    if checkout is None:
        print("error: not in a checkout: the stacks' settings are there; change into it", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "tools.price"]
    for name in ("region", "instance_type"):
        command += [f"--{name.replace('_', '-')}={value}" for value in getattr(options, name)]
    command += ["--table-only"] if options.table_only else []
    return subprocess.run([*command, "--", *options.stack], cwd=checkout, check=False).returncode


def find_checkout(folder: Path) -> Path | None:
    """The nearest folder, from `folder` upwards, that holds the stacks and this command's other half."""
    return next((one for one in (folder, *folder.parents) if (one / "tools" / "price" / "__main__.py").is_file()), None)
