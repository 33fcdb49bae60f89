"""moto's server, an emulator of AWS, whose queues are asked by one at a time.

Two of its threads that look through a queue at the same moment give out the same message twice. A standard queue of SQS
may do so as well, but then a test that counts them could not tell the emulator's haste from a fault of ours.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from moto.server import main
from moto.sqs.models import SQSBackend

_PAUSE_SECONDS = 0.01

_receive = SQSBackend.receive_message
_lock = threading.Lock()


def receive_message(
    self: SQSBackend, queue_name: str, count: int, wait_seconds_timeout: int, *arguments: Any, **named: Any
) -> Any:
    """As SQS's long poll, of which each look is quick; between them the others have theirs."""
    end = time.monotonic() + wait_seconds_timeout
    while True:
        with _lock:
            found = _receive(self, queue_name, count, 0, *arguments, **named)
        if found or time.monotonic() >= end:
            return found
        time.sleep(_PAUSE_SECONDS)


SQSBackend.receive_message = receive_message

if __name__ == "__main__":
    main()
