"""What the routes share: the service, the answers they document, and speaking an order for a client who may leave."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.types import Receive

from speech_server.audio.encode import FORMATS
from speech_server.dedup import Answer
from speech_server.errors import ApiError, ClientLeftError
from speech_server.order import SpeechOrder
from speech_server.service import Service

_WARNINGS = "X-Speech-Warnings"
_MAX_WARNINGS_CHARS = 2000
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in {
        400: "A parameter is wrong: `param` names it",
        401: "No API key, or one that is not known",
        404: "There is no such model",
        408: "The body came too slowly",
        413: "The body is too large",
        415: "The body is not application/json",
        422: "The Idempotency-Key came with another request before",
        429: "The engine is busy: come back after Retry-After seconds",
        500: "The server failed",
        503: "Not ready, or the engine failed: come back after Retry-After seconds",
    }.items()
}

AUDIO: dict[str, Any] = {
    "description": "The clip",
    "content": {form.media_type: {"schema": {"type": "string", "format": "binary"}} for form in FORMATS.values()},
}


async def _service(request: Request) -> Service:  # async: FastAPI sends a plain function to a thread
    return request.app.state.service


ServiceOf = Annotated[Service, Depends(_service)]


async def speak(request: Request, service: Service, order: SpeechOrder, warnings: Iterable[str] = ()) -> Answer:
    """The clip and its headers. Raises ApiError, or ClientLeftError after the synthesis was cancelled."""
    state = request.scope["state"]
    work = asyncio.ensure_future(
        service.pipeline.answer(order, state["client"], _idempotency_key(request.headers.getlist("idempotency-key")))
    )
    answer, repeated = await _unless_client_leaves(work, request.receive)
    headers = dict(answer.headers)
    state["log_fields"] = {
        "audio_seconds": float(headers["X-Audio-Seconds"]),
        "synthesis_seconds": float(headers["X-Synthesis-Seconds"]),
        "format": order.format,
        "repeated": repeated,
    }
    if repeated:
        headers["Idempotent-Replayed"] = "true"
    told = [*warnings, *filter(None, [headers.pop(_WARNINGS, "")])]
    if told:
        headers[_WARNINGS] = header_text("; ".join(told))
    return Answer(answer.body, answer.media_type, tuple(headers.items()))


def header_text(text: str) -> str:
    """`text` as a header's value: printable ASCII, everything else escaped, of bounded length."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    printable = "".join(character if " " <= character <= "~" else " " for character in escaped)
    return printable[:_MAX_WARNINGS_CHARS].strip()


async def _unless_client_leaves(work: asyncio.Future[tuple[Answer, bool]], receive: Receive) -> tuple[Answer, bool]:
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise ClientLeftError
    finally:
        for task in (work, leaving):
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ApiError):
                    await task


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _idempotency_key(given: list[str]) -> str | None:
    if not given:
        return None
    if len(given) > 1 or not _IDEMPOTENCY_KEY.fullmatch(given[0]):
        message = "Idempotency-Key must be one header of 1-255 printable ASCII characters without spaces"
        raise ApiError(400, "invalid_value", message, "Idempotency-Key")
    return given[0]
