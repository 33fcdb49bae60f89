"""An answer that is sent while the rest of it is being spoken: as it is, or in server-sent events."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import time
from contextlib import ExitStack, aclosing, suppress
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from speech_server.answers import Answer, GrowingAnswer
from speech_server.errors import ApiError, ClientLeftError, error_body
from speech_server.interrupt import Interrupt
from speech_server.metrics import Metrics
from speech_server.routes.attendance import tell_when_left, too_late
from speech_server.routes.speaking import WARNINGS, header_text, raw_headers

_DELTA_BYTES = 24 * 1024  # of sound an event; a multiple of three, so that base64 needs no padding inside


class Framing(Protocol):
    """How sound is put into an answer's body."""

    def piece(self, sound: bytes) -> bytes: ...

    def end(self, whole: Answer) -> bytes:
        """What follows the last piece."""
        ...

    def failure(self, error: ApiError) -> bytes | None:
        """What tells that no more will come; None: only the broken connection can."""
        ...


class Plain:
    """A sound file, and nothing else: a player cannot be told of a failure but by an end that is none."""

    def piece(self, sound: bytes) -> bytes:
        return sound

    def end(self, whole: Answer) -> bytes:  # noqa: ARG002 - the interface
        return b""

    def failure(self, error: ApiError) -> bytes | None:  # noqa: ARG002 - the interface
        return None


class Events:
    """OpenAI's events: speech.audio.delta, at last speech.audio.done, or an error as its client library reads one.

    No engine here counts tokens: characters in and begun seconds out stand in for them. `told`: the warnings that the
    headers had; what came up later is in the last event.
    """

    def __init__(self, characters: int, told: str = "") -> None:
        self._characters = characters
        self._told = told
        self._rest = b""

    def piece(self, sound: bytes) -> bytes:
        sound = self._rest + sound
        whole = len(sound) - len(sound) % 3
        self._rest = sound[whole:]
        return _deltas(sound[:whole])

    def end(self, whole: Answer) -> bytes:
        seconds = math.ceil(whole.audio_seconds)
        usage = {
            "input_tokens": self._characters,
            "output_tokens": seconds,
            "total_tokens": self._characters + seconds,
        }
        done: dict[str, Any] = {"type": "speech.audio.done", "usage": usage}
        late = dict(whole.headers).get(WARNINGS, "").removeprefix(self._told).removeprefix("; ")
        if late:
            done["warnings"] = header_text(late)
        return _deltas(self._rest) + _event(done)

    def failure(self, error: ApiError) -> bytes | None:
        return _event({"type": "error", **error_body(error)})


class GrowingResponse(Response):
    """The pieces as they come. Nobody's slowness holds the engine up, and who leaves takes the synthesis along.

    A clip that is not at its end after `whole_seconds` is given up, and so is a client that takes nothing for as long.
    """

    def __init__(
        self,
        growing: GrowingAnswer,
        framing: Framing,
        headers: tuple[tuple[str, str], ...],
        media_type: str,
        whole_seconds: float,
        metrics: Metrics,
        leaving: ExitStack,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = [*raw_headers(headers), (b"content-type", media_type.encode())]
        self._growing = growing
        self._framing = framing
        self._whole_seconds = whole_seconds
        self._due = time.monotonic() + whole_seconds
        self._metrics = metrics
        self._leaving = leaving
        self._code: str | None = None  # of what it failed with

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._leaving:
            ended = "failed"
            try:
                ended = await self._send_to_its_end(receive, send)
            finally:
                self._metrics.streams(ended).inc()
                whole = self._growing.whole
                fields = scope["state"].setdefault("log_fields", {})
                fields["ended"] = ended
                if self._code is not None:
                    fields["code"] = self._code
                if whole is not None:
                    fields["audio_seconds"] = round(whole.audio_seconds, 3)
                    fields["synthesis_seconds"] = round(whole.synthesis_seconds, 3)

    async def _send_to_its_end(self, receive: Receive, send: Send) -> str:
        """How it ended."""
        loop = asyncio.get_running_loop()
        interrupt = Interrupt()
        left = asyncio.create_task(tell_when_left(receive, interrupt))
        late = loop.call_later(self._due - time.monotonic(), self._give_up_if_unfinished, interrupt)
        try:
            await interrupt.run(self._send(send, interrupt))
        except ClientLeftError:
            return "client_left"
        except ApiError as error:
            self._code = error.code
            failure = self._framing.failure(error)
            if failure is not None:
                last_words = Interrupt()
                with suppress(ClientLeftError):
                    await last_words.run(self._push(send, last_words, failure, more=False))
            # Without the end that it lacks, the server closes the connection in the middle of the body.
            return "failed"
        finally:
            left.cancel()
            late.cancel()
        return "complete"

    async def _send(self, send: Send, interrupt: Interrupt) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._growing.read()) as sounds:
            async for sound in sounds:
                piece = self._framing.piece(sound)
                if piece:
                    await self._push(send, interrupt, piece, more=True)
        assert self._growing.whole is not None
        await self._push(send, interrupt, self._framing.end(self._growing.whole), more=False)

    async def _push(self, send: Send, interrupt: Interrupt, body: bytes, more: bool) -> None:
        stalled = asyncio.get_running_loop().call_later(self._whole_seconds, interrupt, ClientLeftError())
        try:
            await send({"type": "http.response.body", "body": body, "more_body": more})
        finally:
            stalled.cancel()

    def _give_up_if_unfinished(self, interrupt: Interrupt) -> None:
        if self._growing.whole is None:
            interrupt(too_late(self._whole_seconds))


def _deltas(sound: bytes) -> bytes:
    deltas = (sound[start : start + _DELTA_BYTES] for start in range(0, len(sound), _DELTA_BYTES))
    return b"".join(
        _event({"type": "speech.audio.delta", "audio": base64.b64encode(delta).decode()}) for delta in deltas
    )


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
