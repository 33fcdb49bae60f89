"""One engine process as the server sees it: started, asked, cancelled, killed. Keeping one alive is `host.py`'s."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from typing import Any

import numpy as np

from speech_server.engines import frames
from speech_server.engines.base import Capabilities, Speech, Utterance, UtteranceError

CANCEL_SECONDS = 1.0  # an engine that has not let go of a cancelled call by then is killed
_OUTPUT_LINE_BYTES = 4096

log = logging.getLogger("speech_server.engine")


class EngineFaultError(Exception):
    """The engine process died, hung, failed or spoke nonsense. The process is of no more use."""


class WorkerProcess:
    """A running engine process. Every way out of a failed call leaves it dead or idle, never busy."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._writer = writer
        self._loaded: asyncio.Future[Capabilities] = asyncio.get_running_loop().create_future()
        self._calls = 0
        self._pending: tuple[int, asyncio.Future[Speech | None]] | None = None
        self._fault: str | None = None
        self._tasks = [
            asyncio.create_task(self._read(reader)),
            asyncio.create_task(_log_output(process.stdout, process.pid, "stdout")),
            asyncio.create_task(_log_output(process.stderr, process.pid, "stderr")),
        ]

    @classmethod
    async def start(cls, engine: str) -> WorkerProcess:
        """Start the process for a registered engine's name or a "package.module:Class". Raises OSError."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", "speech_server.engines.worker", str(theirs.fileno()), engine),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                )
            reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        except BaseException:
            ours.close()
            raise
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def loaded(self, seconds: float) -> Capabilities:
        """What the engine is, once it is warm. Raises EngineFaultError if it fails to load or takes longer."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._loaded), seconds)
        except asyncio.TimeoutError:
            self.kill(f"not loaded within {seconds:g} s")
            raise EngineFaultError(f"the engine was not loaded within {seconds:g} s") from None

    async def speak(self, utterance: Utterance, seconds: float) -> Speech:
        """Say one utterance; one call at a time.

        When the caller is cancelled, so is the engine's call, and the CancelledError leaves here once the engine has
        let go of it or is dead. Raises EngineFaultError (also after `seconds`) or UtteranceError.
        """
        assert self._pending is None, "one call at a time"
        if self._fault is not None:
            raise EngineFaultError(self._fault)
        self._calls += 1
        answer: asyncio.Future[Speech | None] = asyncio.get_running_loop().create_future()
        self._pending = (self._calls, answer)
        try:
            self._send({"op": "speak", "id": self._calls, "utterance": frames.utterance_to_wire(utterance)})
            done, _ = await asyncio.wait({answer}, timeout=seconds)
        except asyncio.CancelledError:
            await self._cancel(answer)
            raise
        finally:
            self._pending = None
        if not done:
            self.kill(f"no answer within {seconds:g} s")
            raise EngineFaultError(f"the engine gave no answer within {seconds:g} s")
        speech = answer.result()
        if speech is None:  # it says that it was cancelled, and nobody asked for that
            self.kill("cancelled a call of its own accord")
            raise EngineFaultError("the engine cancelled a call of its own accord")
        return speech

    def kill(self, reason: str) -> None:
        """End the process now. What was asked of it fails with `reason`."""
        self._fail(reason)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def gone(self) -> str:
        """Wait until the process has ended and its last output is logged; how it ended."""
        code = await self._process.wait()
        self._fail(_how_it_ended(code))
        self._writer.close()
        # A grandchild that holds the pipes open must not hold the server up.
        _, unfinished = await asyncio.wait(self._tasks, timeout=1)
        for task in unfinished:
            task.cancel()
        assert self._fault is not None
        return self._fault

    async def _cancel(self, answer: asyncio.Future[Speech | None]) -> None:
        self._send({"op": "cancel", "id": self._calls})
        try:
            done, _ = await asyncio.wait({answer}, timeout=CANCEL_SECONDS)
        except asyncio.CancelledError:
            self.kill("cancelled twice")
            raise
        if not done:
            self.kill(f"a cancelled call went on for {CANCEL_SECONDS:g} s")
        else:
            answer.exception()  # whatever it was, nobody waits for it

    def _send(self, header: dict[str, Any]) -> None:
        # Not drained: a frame to the engine is small, and one call runs at a time.
        self._writer.write(frames.pack(header))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while (frame := await frames.read_frame(reader)) is not None:
                self._take(*frame)
        except (OSError, frames.FrameError, KeyError, TypeError, ValueError) as error:
            self.kill(f"the engine process sent nonsense: {error}"[:500])
            return
        # The socket closes as the process dies; how it died makes the better message, if it really did.
        with contextlib.suppress(asyncio.TimeoutError):
            code = await asyncio.wait_for(self._process.wait(), 1)
            self._fail(_how_it_ended(code))
        self.kill("the engine process closed its connection")

    def _take(self, header: dict[str, Any], payload: bytes) -> None:
        op = header["op"]
        if op == "ready":
            if not self._loaded.done():
                self._loaded.set_result(frames.capabilities_from_wire(header["capabilities"]))
            return
        if op == "load_failed":
            self._fail(f"the engine failed to load: {header['error']}")
            return
        if self._pending is None or header["id"] != self._pending[0] or self._pending[1].done():
            return  # the late answer to a call that was given up
        answer = self._pending[1]
        if op == "speech":
            samples = np.frombuffer(payload, dtype=np.float32).copy()  # writable: what stretches it insists
            answer.set_result(Speech(samples, int(header["sample_rate"]), tuple(header["warnings"])))
        elif op == "cancelled":
            answer.set_result(None)
        elif op == "refused":
            answer.set_exception(UtteranceError(header["code"], header["message"], header["param"]))
        elif op == "fault":
            self.kill(f"the engine failed: {header['error']}")
        else:
            raise ValueError(f"unknown op {op!r}")

    def _fail(self, reason: str) -> None:
        if self._fault is None:
            self._fault = reason
        if not self._loaded.done():
            self._loaded.set_exception(EngineFaultError(self._fault))
            self._loaded.exception()  # the host may have stopped waiting
        if self._pending is not None and not self._pending[1].done():
            self._pending[1].set_exception(EngineFaultError(self._fault))


def _how_it_ended(code: int) -> str:
    return f"the engine process was killed by signal {-code}" if code < 0 else f"the engine process ended ({code})"


async def _log_output(stream: asyncio.StreamReader | None, pid: int, name: str) -> None:
    """What native libraries print goes into the server's log, a line an event, long lines cut."""
    assert stream is not None
    rest = b""
    while chunk := await stream.read(_OUTPUT_LINE_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _OUTPUT_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        for line in lines:
            _log_line(line, pid, name)
    _log_line(rest, pid, name)


def _log_line(line: bytes, pid: int, name: str) -> None:
    text = line[:_OUTPUT_LINE_BYTES].decode("utf-8", "replace").rstrip()
    if text:
        log.info("engine_output", extra={"fields": {"pid": pid, "stream": name, "line": text}})
