"""The engine process: `python -m speech_server.engines.worker FD ENGINE`, started by the server only.

The main thread loads the engine and speaks; a second one reads the socket, so that a cancel is seen during a call
and the process ends the moment its server is gone, whatever the engine is doing.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from typing import Any

import numpy as np

from speech_server.engines import frames, make_engine
from speech_server.engines.base import Cancelled, Engine, UtteranceError
from speech_server.logs import where

_PR_SET_PDEATHSIG = 1


class Mailbox:
    """What the reading thread hands to the speaking one."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled: set[int] = set()

    def cancel(self, call: int) -> None:
        self._cancelled.add(call)

    def is_cancelled(self, call: int) -> bool:
        return call in self._cancelled

    def forget(self, call: int) -> None:
        self._cancelled.discard(call)


def main(argv: list[str]) -> int:
    connection = socket.socket(fileno=int(argv[0]))
    _end_with_the_server()
    mailbox = Mailbox()
    threading.Thread(target=_read, args=(connection, mailbox), daemon=True, name="frames").start()
    try:
        engine = make_engine(argv[1])
        capabilities = engine.load()
    except Exception as error:
        traceback.print_exc()
        _send(connection, {"op": "load_failed", "error": f"{type(error).__name__}: {error}"[:500]})
        return 1
    _send(connection, {"op": "ready", "capabilities": frames.capabilities_to_wire(capabilities)})
    while True:
        call = mailbox.calls.get()
        _answer(connection, engine, call, mailbox)
        mailbox.forget(call["id"])


def _end_with_the_server() -> None:
    # The server decides when the engine ends. A terminal's Ctrl-C and a supervisor's group-wide SIGTERM reach this
    # process too, and must not cut off the call that the server is draining.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        # Beside the end of file on the socket: native code that never lets go of the interpreter lock starves the
        # thread that reads the socket.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _read(connection: socket.socket, mailbox: Mailbox) -> None:
    while True:
        try:
            frame = frames.receive_frame(connection)
        except (OSError, frames.FrameError):
            frame = None
        if frame is None:
            os._exit(0)
        header, _ = frame
        if header["op"] == "speak":
            mailbox.calls.put(header)
        elif header["op"] == "cancel":
            mailbox.cancel(header["id"])


def _answer(connection: socket.socket, engine: Engine, call: dict[str, Any], mailbox: Mailbox) -> None:
    number = call["id"]
    try:
        if mailbox.is_cancelled(number):
            raise Cancelled
        utterance = frames.utterance_from_wire(call["utterance"])
        speech = engine.speak(utterance, lambda: mailbox.is_cancelled(number))
    except Cancelled:
        _send(connection, {"op": "cancelled", "id": number})
    except UtteranceError as error:
        refusal = {"code": error.code, "message": error.message, "param": error.param}
        _send(connection, {"op": "refused", "id": number, **refusal})
    except Exception as error:
        # An exception's own message may quote the text that was to be spoken, which is in no log: type and place do.
        place = where(error)
        _send(connection, {"op": "fault", "id": number, "error": f"{place['error']} at {', '.join(place['at'][-4:])}"})
    else:
        samples = np.ascontiguousarray(speech.samples, dtype=np.float32).reshape(-1)
        header = {"op": "speech", "id": number, "sample_rate": speech.sample_rate, "warnings": list(speech.warnings)}
        _send(connection, header, samples.data.cast("B"))


def _send(connection: socket.socket, header: dict[str, Any], payload: memoryview | None = None) -> None:
    connection.sendall(frames.pack(header, 0 if payload is None else payload.nbytes))
    if payload is not None:
        connection.sendall(payload)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
