"""Keeps a local stack up in the foreground, for systemd: `python -m components.local.machine.keeper DATA_DIR`.

After a restart of the machine it starts the process supervisor, and that all that was deployed. SIGTERM ends the stack
as `pulumi destroy` does: what is being spoken is finished. Where nothing is deployed it ends well.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from components.local.machine.errors import MachineError
from components.local.machine.layout import Layout
from components.local.machine.supervisor import Supervisor

POLL_SECONDS = 2.0
# An update that changes the supervisor's own configuration starts it again, and the guardian does when it is killed:
# only a silence that is longer than either takes is the keeper's business.
SILENT_SECONDS = 20.0


def keep(layout: Layout, told_to_end: threading.Event) -> None:
    """Returns once it is told to end and the stack is down, or the stack is destroyed. Raises `MachineError` when the
    supervisor cannot be started.
    """
    supervisor = Supervisor(layout)
    if not deployed(layout):
        _say(f"nothing is deployed in {layout.data}; run `make up` there")
        return
    supervisor.start()
    _say(f"up; `pulumi up` changes it, {layout.logs} has its logs")
    heard = time.monotonic()
    while not told_to_end.wait(POLL_SECONDS):
        if not deployed(layout):
            _say("destroyed")
            return
        if supervisor.running():
            heard = time.monotonic()
        elif time.monotonic() - heard > SILENT_SECONDS:
            _say("the process supervisor is gone; starting it again")
            supervisor.start()
    _say("ending the stack")
    supervisor.stop()


def deployed(layout: Layout) -> bool:
    """Whether there is a stack: its supervisor's configuration goes when it is destroyed."""
    return (layout.run / "supervisord.conf").is_file()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - systemd's journal


def main(data_dir: str) -> int:
    """Exit status 1 tells systemd to try again."""
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    try:
        keep(Layout(Path(data_dir)), told_to_end)
    except MachineError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
