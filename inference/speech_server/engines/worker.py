"""The engine process: `python -m speech_server.engines.worker FD ENGINE`, started by the server only.

One thread loads the engine, reads the calls and speaks. A second one only waits for the server's end of the socket to
close, so that the process ends the moment its server is gone, whatever the engine is doing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from speech_server.engines import frames, make_engine
from speech_server.engines.base import (
    Cancelled,
    Engine,
    RecyclingEngine,
    SegmentingEngine,
    Speech,
    Utterance,
    UtteranceError,
)
from speech_server.logs import where

_PR_SET_PDEATHSIG = 1
_RECEIVED_BYTES = 1 << 16
# An engine may ask whether it is cancelled thousands of times a second; looking at the socket is a system call.
_CANCEL_POLL_SECONDS = 0.01
_REASON_CHARS = 500
_OUT_OF_MEMORY = frozenset({"MemoryError", "OutOfMemoryError", "OutOfMemoryException"})


class Mailbox:
    """What the server sends: calls, in order, and which of them it cancelled."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._unpacker = frames.Unpacker()
        self._calls: deque[dict[str, Any]] = deque()
        self._current: int | None = None
        self._cancelled: set[int] = set()
        self._looked = 0.0
        self._lock = threading.Lock()

    def next_call(self) -> dict[str, Any]:
        """Waits for it. Ends the process when the server is gone or sends nonsense."""
        self._current = None
        if self._calls:
            self._look()  # the next one was here early, and may have been cancelled meanwhile
        while not self._calls:
            self._take(self._receive(0))
        call = self._calls.popleft()
        self._cancelled = {number for number in self._cancelled if number >= call["id"]}
        self._looked = time.monotonic()
        self._current = call["id"]
        return call

    def is_cancelled(self, call: int) -> bool:
        """To be asked by any thread of the engine, and as often as it likes."""
        with self._lock:
            if call != self._current:  # a thread that outlived its call: it is to stop
                return True
            now = time.monotonic()
            if call not in self._cancelled and now - self._looked >= _CANCEL_POLL_SECONDS:
                self._looked = now
                self._look()
            return call in self._cancelled

    def _look(self) -> None:
        try:
            self._take(self._receive(socket.MSG_DONTWAIT))
        except BlockingIOError:
            return

    def _receive(self, flags: int) -> bytes:
        try:
            return self._connection.recv(_RECEIVED_BYTES, flags)
        except ConnectionError:
            return b""

    def _take(self, data: bytes) -> None:
        if not data:
            os._exit(0)
        try:
            for header, _ in self._unpacker.feed(data):
                if header["op"] in ("speak", "segments"):
                    self._calls.append(header)
                elif header["op"] == "cancel":
                    self._cancelled.add(header["id"])
        except frames.FrameError:
            os._exit(0)


def main(argv: list[str]) -> int:
    connection = socket.socket(fileno=int(argv[0]))
    connection.setblocking(True)
    _end_with_the_server()
    threading.Thread(target=_end_when_closed, args=(connection.fileno(),), daemon=True, name="server").start()
    try:
        engine = make_engine(argv[1])
        capabilities = replace(engine.load(), segments=isinstance(engine, SegmentingEngine))
    except Exception as error:
        traceback.print_exc()
        _send(connection, {"op": "load_failed", "error": f"{type(error).__name__}: {error}"[:500]})
        return 1
    _send(connection, {"op": "ready", "capabilities": frames.capabilities_to_wire(capabilities)})
    mailbox = Mailbox(connection)
    wearing = engine if isinstance(engine, RecyclingEngine) else None
    worn = None
    while worn is None:
        header, sound = _answer(engine, mailbox.next_call(), mailbox, connection)
        # after a fault the server ends the process anyway
        worn = None if wearing is None or header["op"] == "fault" else _recycle_reason(wearing)
        if worn is not None:
            # with the answer, not after it: the server must not send another call to a process that is about to end
            header["recycle"] = worn
        _send(connection, header, sound)
    return 0


def _end_with_the_server() -> None:
    # The server decides when the engine ends. A terminal's Ctrl-C and a supervisor's group-wide SIGTERM reach this
    # process too, and must not cut off the call that the server is draining.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        # Beside the end of file on the socket: native code that never lets go of the interpreter lock starves the
        # thread that waits for it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_when_closed(descriptor: int) -> None:
    # Not for what there is to read, which is the main thread's: POLLHUP comes whether asked for or not.
    waiting = select.poll()
    waiting.register(descriptor, getattr(select, "POLLRDHUP", 0))
    waiting.poll()
    os._exit(0)


def _answer(
    engine: Engine, call: dict[str, Any], mailbox: Mailbox, connection: socket.socket
) -> tuple[dict[str, Any], bytes]:
    """The header and payload of the answer, or of its last part: all others were sent."""
    number = call["id"]

    def cancelled() -> bool:
        return mailbox.is_cancelled(number)

    try:
        if cancelled():
            raise Cancelled
        utterance = frames.utterance_from_wire(call["utterance"])
        if call["op"] == "segments" and isinstance(engine, SegmentingEngine):
            return _last_segment(engine, utterance, number, cancelled, connection)
        speech = engine.speak(utterance, cancelled)
        sound = _sound(speech)
    except Cancelled:
        return {"op": "cancelled", "id": number}, b""
    except UtteranceError as error:
        refusal = {"code": error.code, "message": error.message, "param": error.param}
        return {"op": "refused", "id": number, **refusal}, b""
    except Exception as error:
        # An exception's own message may quote the text that was to be spoken, which is in no log: type and place do.
        place = where(error)
        reason = f"{place['error']} at {', '.join(place['at'][-4:])}"
        return {"op": "fault", "id": number, "error": reason, "out_of_memory": _is_out_of_memory(error)}, b""
    if sound is None:
        return {"op": "no_sound", "id": number}, b""
    return _speech(number, speech, list(speech.warnings)), sound


def _last_segment(
    engine: SegmentingEngine,
    utterance: Utterance,
    number: int,
    cancelled: Callable[[], bool],
    connection: socket.socket,
) -> tuple[dict[str, Any], bytes]:
    """Sends every segment but the last one. Raises what the engine raises, and ValueError if it has no last one."""
    anything = utterance.segments_done > 0
    warnings: list[str] = []
    with contextlib.closing(engine.segments(utterance, cancelled)) as segments:
        for done, segment in enumerate(segments, start=utterance.segments_done + 1):
            warnings += segment.warnings
            silent = not np.size(segment.samples)
            sound = b"" if silent else _sound(segment)
            if sound is None or (silent and segment.last and not anything):
                return {"op": "no_sound", "id": number}, b""
            if segment.last:
                return {**_speech(number, segment, warnings), "done": done}, sound
            if cancelled():
                raise Cancelled
            if silent:
                continue  # what it warns of is told with the next one
            anything = True
            _send(connection, {**_speech(number, segment, warnings), "op": "segment", "done": done}, sound)
            warnings = []
    raise ValueError("the engine's segments ended without a last one")


def _speech(number: int, speech: Speech, warnings: list[str]) -> dict[str, Any]:
    return {"op": "speech", "id": number, "sample_rate": speech.sample_rate, "warnings": warnings}


def _recycle_reason(engine: RecyclingEngine) -> str | None:
    try:
        reason = engine.recycle_reason()
    except Exception as error:  # what it asks of its GPU fails when the GPU's context is broken
        return f"its wear cannot be told: {where(error)['error']}"
    return None if reason is None else reason[:_REASON_CHARS]


def _sound(speech: Speech) -> bytes | None:
    """The samples as 16-bit little-endian mono; None for what no encoder can take."""
    samples = np.asarray(speech.samples, dtype=np.float32).reshape(-1)
    # One number that is none makes the sum one that is none; of finite ones it cannot overflow in double precision.
    if samples.size == 0 or speech.sample_rate <= 0 or not np.isfinite(samples.sum(dtype=np.float64)):
        return None
    scaled = samples * np.float32(32767.0)
    np.rint(scaled, out=scaled)
    # minimum and maximum: np.clip() costs more than all of this for a short clip
    np.minimum(scaled, 32767.0, out=scaled)
    np.maximum(scaled, -32767.0, out=scaled)
    return scaled.astype("<i2").tobytes()


def _is_out_of_memory(error: BaseException | None) -> bool:
    """PyTorch raises torch.OutOfMemoryError, CuPy OutOfMemoryError, Python MemoryError: by name, to import none."""
    while error is not None:
        if type(error).__name__ in _OUT_OF_MEMORY:
            return True
        error = error.__cause__ or error.__context__
    return False


def _send(connection: socket.socket, header: dict[str, Any], payload: bytes = b"") -> None:
    head = frames.pack(header, len(payload))
    if len(payload) <= _RECEIVED_BYTES:
        connection.sendall(head + payload)
        return
    connection.sendall(head)
    connection.sendall(payload)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
