"""Runs a container in the foreground in place of one that was left behind: `run_container.py DOCKER NAME OPTION...`

The docker client that it becomes passes SIGTERM on to the container, and ends when the container does.
"""

import os
import subprocess
import sys


def main(docker: str, name: str, *options: str) -> None:
    null = subprocess.DEVNULL
    subprocess.run([docker, "rm", "--force", name], stdin=null, stdout=null, stderr=null, check=False)
    command = [docker, "run", "--rm", f"--name={name}", "--log-driver=none", *options]
    os.execv(docker, command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
