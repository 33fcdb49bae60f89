"""One engine process as the server sees it: started, asked, cancelled, killed. Keeping one alive is `host.py`'s."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, cast

from speech_server.engines import frames
from speech_server.engines.base import Capabilities, Spoken, Utterance, UtteranceError
from speech_server.engines.call_line import Call, CallLine, EngineFaultError, NotBegunError

CANCEL_SECONDS = 1.0  # an engine that has not let go of a cancelled call by then is killed
_END_SECONDS = 5.0  # a process that said that it ends, and has not by then, is killed
_OUTPUT_LINE_BYTES = 4096

log = logging.getLogger("speech_server.engine")


class WorkerProcess:
    """A running engine process. Every way out of a failed call leaves it dead or idle, never busy."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._process: asyncio.subprocess.Process | None = None
        self._connection = _Connection(self)
        self._loaded: asyncio.Future[Capabilities] = loop.create_future()
        self._calls = 0
        self._line = CallLine(self.kill)
        self._fault: tuple[str, bool] | None = None  # why it is of no more use, and whether for lack of memory
        self._tasks: list[asyncio.Task[None]] = []
        self._recycled = False
        self._ending: asyncio.TimerHandle | None = None

    @classmethod
    async def start(cls, engine: str, variables: Mapping[str, str] | None = None) -> WorkerProcess:
        """Start the process for a registered engine's name or a "package.module:Class".

        Its environment is the server's own, which holds the engine's settings, and `variables`. Raises OSError.
        """
        worker = cls()
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
                    env={**os.environ, **(variables or {}), "PYTHONUNBUFFERED": "1"},
                )
            worker._process = process
            worker._tasks = [
                asyncio.create_task(_log_output(process.stdout, process.pid, "stdout")),
                asyncio.create_task(_log_output(process.stderr, process.pid, "stderr")),
            ]
            await asyncio.get_running_loop().create_unix_connection(lambda: worker._connection, sock=ours)
        except BaseException:
            ours.close()
            if worker._process is not None:  # nobody else knows of it
                worker.kill("its start was broken off")
                await asyncio.shield(worker.gone())
            raise
        return worker

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def usable(self) -> bool:
        return self._fault is None

    @property
    def recycled(self) -> bool:
        """Whether it ends of its own accord, with its last call answered, so that a fresh process takes over."""
        return self._recycled

    async def loaded(self, seconds: float) -> Capabilities:
        """What the engine is, once it is warm. Raises EngineFaultError if it fails to load or takes longer."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._loaded), seconds)
        except asyncio.TimeoutError:
            self.kill(f"not loaded within {seconds:g} s")
            raise EngineFaultError(f"the engine was not loaded within {seconds:g} s") from None

    async def speak(self, utterance: Utterance, seconds: float) -> Spoken:
        """Say one utterance; a call that comes while another is not answered is done after it.

        When the caller is cancelled, so is the engine's call, and the CancelledError leaves here once the engine has
        let go of it or is dead. Raises EngineFaultError (also when it speaks for more than `seconds`; NotBegunError if
        the engine never came to this call) or UtteranceError.
        """
        call = self._call("speak", utterance, seconds)
        try:
            spoken = await call.answer
        except asyncio.CancelledError:
            if call.answer.cancelled():
                await self._let_go_of(call)
            else:  # the engine was done in this very moment
                call.answer.exception()
            raise
        return self._said(spoken)

    async def segments(self, utterance: Utterance, seconds: float) -> AsyncGenerator[Spoken]:
        """As `speak`, in parts, of which the last says so. What came while nobody asked comes in one part; an engine
        that cannot speak in segments has one part to give.

        Closed before its end, or its caller cancelled, so is the engine's call.
        """
        call = self._call("segments", utterance, seconds)
        try:
            while True:
                if not call.parts and not call.answer.done():
                    await call.news.wait()
                    call.news.clear()
                    continue
                parts = [*call.parts]
                call.parts.clear()
                if call.answer.done() and not (parts and call.answer.exception()):  # what is here precedes a failure
                    parts.append(self._said(call.answer.result()))
                yield _together(parts)
                if parts[-1].last:
                    return
        except (asyncio.CancelledError, GeneratorExit):
            if not call.answer.done():
                await self._let_go_of(call)
            raise
        finally:
            if call.answer.done():
                call.answer.exception()

    def _call(self, op: Literal["speak", "segments"], utterance: Utterance, seconds: float) -> Call:
        if self._fault is not None:
            raise NotBegunError(*self._fault)
        self._calls += 1
        frame = frames.pack({"op": op, "id": self._calls, "utterance": frames.utterance_to_wire(utterance)})
        answer: asyncio.Future[Spoken | None] = asyncio.get_running_loop().create_future()
        call = Call(self._calls, answer, seconds, f"no answer within {seconds:g} s", op == "segments")
        self._line.add(call)
        # Not drained: a frame to the engine is small, and few are in line.
        self._connection.write(frame)
        return call

    def _said(self, spoken: Spoken | None) -> Spoken:
        if spoken is None:  # it says that it was cancelled, and nobody asked for that
            self.kill("cancelled a call of its own accord")
            raise EngineFaultError("the engine cancelled a call of its own accord")
        return spoken

    def kill(self, reason: str, out_of_memory: bool = False) -> None:
        """End the process now. What was asked of it fails with `reason`."""
        self._fail(reason, out_of_memory)
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def gone(self) -> str:
        """Wait until the process has ended and its last output is logged; how it ended."""
        assert self._process is not None
        code = await self._process.wait()
        self._fail(_how_it_ended(code))
        if self._ending is not None:
            self._ending.cancel()
        self._connection.close()
        # A grandchild that holds the pipes open must not hold the server up.
        _, unfinished = await asyncio.wait(self._tasks, timeout=1)
        for task in unfinished:
            task.cancel()
        assert self._fault is not None
        return self._fault[0]

    def take(self, header: dict[str, Any], payload: bytes) -> None:
        """A frame of the engine. Raises KeyError, TypeError or ValueError for nonsense."""
        op = header["op"]
        if op == "ready":
            if not self._loaded.done():
                self._loaded.set_result(frames.capabilities_from_wire(header["capabilities"]))
            return
        if op == "load_failed":
            self._fail(f"the engine failed to load: {header['error']}")
            return
        self._take_answer(op, header, payload)
        if "recycle" in header:
            self._retire(str(header["recycle"]))

    def _take_answer(self, op: str, header: dict[str, Any], payload: bytes) -> None:
        number, call = header["id"], self._line.first
        if call is None or number != call.number:
            if number in self._line:
                raise ValueError("an answer out of turn")
            return  # the late one to a call that was given up
        if op == "speech":
            spoken = _spoken(header, payload, last=True)
            self._line.end_first().succeed(spoken)
        elif op == "segment":
            if not call.in_parts:
                raise ValueError("a segment of a call that was to be answered whole")
            call.parts.append(_spoken(header, payload, last=False))
            call.news.set()
        elif op == "cancelled":
            self._line.end_first().succeed(None)
        elif op == "refused":
            refusal = UtteranceError(header["code"], header["message"], header["param"])
            self._line.end_first().fail(refusal)
        elif op == "no_sound":
            error = EngineFaultError("the engine returned no sound, or samples that are no numbers")
            self._line.end_first().fail(error)
        elif op == "fault":
            self.kill(f"the engine failed: {header['error']}", bool(header["out_of_memory"]))
        else:
            raise ValueError(f"unknown op {op!r}")

    def closed(self) -> None:
        """The engine's end of the connection is gone."""
        self._tasks.append(asyncio.get_running_loop().create_task(self._explain_the_end()))

    def _retire(self, reason: str) -> None:
        if self._fault is not None:  # it failed at its last call, and is being killed
            return
        self._recycled = True
        self._fail(reason, begun=False)
        self._ending = asyncio.get_running_loop().call_later(_END_SECONDS, self.kill, "it did not end")

    async def _explain_the_end(self) -> None:
        # The socket closes as the process dies; how it died makes the better message, if it really did.
        if self._process is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                code = await asyncio.wait_for(self._process.wait(), 1)
                self._fail(_how_it_ended(code))
        self.kill("the engine process closed its connection")

    async def _let_go_of(self, call: Call) -> None:
        """Have the engine end a call whose caller has left; waits for it, if that is what the engine is at."""
        if call.number not in self._line:
            return
        call.answer = let_go = asyncio.get_running_loop().create_future()
        let_go.add_done_callback(_retrieve)
        self._connection.write(frames.pack({"op": "cancel", "id": call.number}))
        if not self._line.hasten(call, CANCEL_SECONDS, f"a cancelled call went on for {CANCEL_SECONDS:g} s"):
            return
        try:
            await asyncio.wait({let_go})
        except asyncio.CancelledError:
            self.kill("cancelled twice")
            raise

    def _fail(self, reason: str, out_of_memory: bool = False, begun: bool = True) -> None:
        """It is of no more use. `begun`: it may have been at the first call in line."""
        if self._fault is None:
            self._fault = (reason, out_of_memory)
        if not self._loaded.done():
            self._loaded.set_exception(EngineFaultError(*self._fault))
            self._loaded.exception()  # the host may have stopped waiting
        for place, call in enumerate(self._line.give_up()):
            kind = EngineFaultError if begun and place == 0 else NotBegunError
            call.fail(kind(*self._fault))


class _Connection(asyncio.Protocol):
    """The server's end of the socket: a protocol, because a stream reader costs three wake-ups a frame."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self._unpacker = frames.Unpacker()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for header, payload in self._unpacker.feed(data):
                self._worker.take(header, payload)
        except (frames.FrameError, KeyError, TypeError, ValueError) as error:
            self._worker.kill(f"the engine process sent nonsense: {error}"[:500])
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        self._worker.closed()

    def write(self, data: bytes) -> None:
        # The end of a process that was just killed is told a moment later, and then to the call that met it, too.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _spoken(header: dict[str, Any], payload: bytes, last: bool) -> Spoken:
    return Spoken(payload, int(header["sample_rate"]), tuple(header["warnings"]), last, int(header.get("done", 1)))


def _together(parts: list[Spoken]) -> Spoken:
    """Parts that follow each other as one."""
    if len(parts) == 1:
        return parts[0]
    warnings = tuple(warning for part in parts for warning in part.warnings)
    pcm, end = b"".join(part.pcm for part in parts), parts[-1]
    return Spoken(pcm, end.sample_rate, warnings, end.last, end.segments_done)


def _retrieve(answer: asyncio.Future[Spoken | None]) -> None:
    """Whatever it was, nobody waits for it, and asyncio is not to log it."""
    answer.exception()


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
