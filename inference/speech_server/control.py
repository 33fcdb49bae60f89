"""The socket by which an operator of this machine takes a server out of service and back, in the server's work folder.

Only root and the server's own user may speak to it: the folder and the socket are theirs, and the kernel says who
calls. One JSON object a line: {"do": "drain", "within": 110, "stay": false, "reason": "..."}, {"do": "undrain"} or
{"do": "status"}. A drain is answered by how far it is, a line a second and at every change, until it is done; anything
else by one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import struct
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from speech_server.control_socket import MAX_REASON_CHARS, NAME
from speech_server.drain import Drain, Notice, TooLateToStayError, work_seconds
from speech_server.listener import Listener, listen

_MAX_LINE_BYTES = 4096
_LINE_SECONDS = 5.0
_POLL_SECONDS = 0.1
_TOLD_EVERY_SECONDS = 1.0
# struct ucred of Linux: pid, uid, gid (unix(7), SO_PEERCRED)
_CREDENTIALS = struct.Struct("3i")

log = logging.getLogger("speech_server.control")


class _Drain(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    do: Literal["drain"]
    within: Annotated[float, Field(strict=False, ge=0, le=86_400, allow_inf_nan=False)] | None = None
    stay: bool = False
    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARS, pattern=r"^[ -~]+$")] = (
        "an operator's order"
    )


class _Other(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    do: Literal["undrain", "status"]


_ORDERS: TypeAdapter[_Drain | _Other] = TypeAdapter(Annotated[_Drain | _Other, Field(discriminator="do")])


class Control:
    """`open()` it inside the event loop, `close()` it at the end. Raises ListenError when the path cannot be used."""

    def __init__(self, work_dir: Path, drain: Drain) -> None:
        self.path = work_dir / NAME
        self._drain = drain
        self._listener: Listener | None = None
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._listener = listen(f"unix:{self.path}")
        self._server = await asyncio.start_unix_server(self._serve, sock=self._listener.socket, limit=_MAX_LINE_BYTES)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._listener is not None:
            self._listener.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            caller = _user_of(writer.get_extra_info("socket"))
            if caller not in (0, os.geteuid()):
                log.warning("control_refused", extra={"fields": {"uid": caller}})
                _say(writer, {"error": f"user {caller} may not: be root, or the server's own user"})
                return
            with contextlib.suppress(ConnectionError):
                await self._answer(reader, writer)
        finally:
            with contextlib.suppress(ConnectionError):
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), _LINE_SECONDS)
            order = _ORDERS.validate_json(line)
        except asyncio.TimeoutError:
            _say(writer, {"error": f"no order came within {_LINE_SECONDS:g} s"})
            return
        except (ValidationError, ValueError) as error:  # ValueError: the line is too long
            _say(writer, {"error": _what_is_wrong(error)})
            return
        if isinstance(order, _Drain):
            self._begin(order)
            await self._tell_until_done(writer)
            return
        if order.do == "undrain":
            try:
                self._drain.withdraw()
            except TooLateToStayError:
                _say(writer, {"error": "this server is ending: start it again instead"})
                return
            log.info("back_in_service")
        _say(writer, self._state())

    def _begin(self, order: _Drain) -> None:
        seconds = self._drain.longest_seconds if order.within is None else work_seconds(order.within)
        self._drain.begin(Notice(order.reason, seconds, order.stay))
        fields = {"reason": order.reason, "seconds_at_most": round(self._drain.seconds_left, 1), "stay": order.stay}
        log.info("draining", extra={"fields": fields})

    async def _tell_until_done(self, writer: asyncio.StreamWriter) -> None:
        """One who hangs up changes nothing."""
        loop = asyncio.get_running_loop()
        told, next_at = None, 0.0
        while True:
            state = self._state()
            counts = (state["requests"], state["jobs"])
            if counts != told or loop.time() >= next_at or state["state"] != "draining":
                told, next_at = counts, loop.time() + _TOLD_EVERY_SECONDS
                _say(writer, state)
                await writer.drain()
            if state["state"] != "draining":
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _state(self) -> dict[str, Any]:
        drain = self._drain
        out_of_service = "drained" if drain.idle else "draining"
        return {
            "state": "in service" if drain.notice is None else out_of_service,
            "requests": drain.requests_in_progress,
            "jobs": drain.jobs_in_hand,
            "seconds_left": round(drain.seconds_left, 1),
            "ending": drain.ending.is_set(),
            "reason": None if drain.notice is None else drain.notice.reason,
            "pid": os.getpid(),
        }


def _user_of(connection: socket.socket) -> int:
    """The user at the other end, as the kernel knows it; -1 where it does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return os.geteuid()  # only the socket's mode decides, as on macOS
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return user


def _what_is_wrong(error: ValidationError | ValueError) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        return f"{'.'.join(map(str, problem['loc'][1:])) or 'the order'}: {problem['msg']}"[:300]
    return f"an order is one line of at most {_MAX_LINE_BYTES} bytes"


def _say(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    writer.write(json.dumps(answer).encode() + b"\n")
