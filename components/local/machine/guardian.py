"""Starts the process supervisor again when somebody kills it. `guardian.py SUPERVISORD_CONF`

The supervisor keeps this program alive like any other; when the supervisor goes away without stopping it, this
program is orphaned, starts a new supervisor, which starts a new guardian, and ends.
"""

import os
import subprocess
import sys
import time

POLL_SECONDS = 0.5


def main(config: str) -> None:
    supervisor = os.getppid()
    while os.getppid() == supervisor:
        time.sleep(POLL_SECONDS)
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", config]
    # Our own output is a pipe to the supervisor that is gone; the new one writes to its log file.
    null = subprocess.DEVNULL
    while subprocess.run(command, check=False, start_new_session=True, stdin=null, stdout=null, stderr=null).returncode:
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
