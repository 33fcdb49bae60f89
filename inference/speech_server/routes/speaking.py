"""What the routes share: the service, the answers they document, and speaking an order for a client who may leave."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from speech_server.answers import Answer, GrowingAnswer
from speech_server.asgi_headers import header_values
from speech_server.audio.encode import FORMATS
from speech_server.errors import ApiError
from speech_server.order import SpeechOrder
from speech_server.routes.attendance import attended
from speech_server.routes.reply_time import reply_seconds
from speech_server.service import Service

WARNINGS = "X-Speech-Warnings"
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
        429: "The engine is busy, or this client is at its limit: come back after Retry-After seconds",
        500: "The server failed",
        503: "Not ready, or the engine failed: come back after Retry-After seconds",
    }.items()
}

AUDIO: dict[str, Any] = {
    "description": "The clip",
    "headers": {
        "X-Audio-Seconds": {"required": True, "schema": {"type": "number"}, "description": "the clip's length"},
        "X-Natural-Seconds": {"required": True, "schema": {"type": "number"}, "description": "before it was fitted"},
        "X-Synthesis-Seconds": {"required": True, "schema": {"type": "number"}, "description": "the engine's time"},
        "X-Engine": {"required": True, "schema": {"type": "string"}, "description": "who spoke: name/version"},
        "X-Speech-Warnings": {"schema": {"type": "string"}, "description": "what could not be done as asked"},
        "Idempotent-Replayed": {"schema": {"type": "string"}, "description": "true: the answer to an earlier request"},
    },
    "content": {form.media_type: {"schema": {"type": "string", "format": "binary"}} for form in FORMATS.values()},
}


async def _service(request: Request) -> Service:  # async: FastAPI sends a plain function to a thread
    return request.app.state.service


ServiceOf = Annotated[Service, Depends(_service)]


class ClipResponse(Response):
    """An answer with sound. Made without what the framework does for responses of every kind."""

    def __init__(self, clip: Answer) -> None:
        self.status_code = 200
        self.background = None
        self.body = clip.body
        self.raw_headers = raw_headers(clip.headers)
        self.raw_headers.append((b"content-length", str(len(clip.body)).encode()))
        self.raw_headers.append((b"content-type", clip.media_type.encode()))


def raw_headers(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    """As ASGI takes them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def speak(request: Request, service: Service, order: SpeechOrder, warnings: Collection[str] = ()) -> Answer:
    """The clip and its headers. Raises ApiError, or ClientLeftError after the synthesis was cancelled."""
    state = request.scope["state"]
    idempotency_key = idempotency_key_of(header_values(request.scope, b"idempotency-key"))
    seconds = reply_seconds(request.scope, service.settings.reply_seconds)
    work = service.pipeline.answer(order, state["client"], idempotency_key, seconds)
    answer, repeated = await attended(work, request.receive, seconds)
    return _noted(state, answer, order, warnings, repeated)


async def speak_growing(
    request: Request, service: Service, order: SpeechOrder, warnings: Collection[str], leaving: ExitStack
) -> tuple[Answer | GrowingAnswer, tuple[tuple[str, str], ...]]:
    """As `speak`, or a clip that grows, and its headers; the caller closes `leaving` when it was sent."""
    state = request.scope["state"]
    idempotency_key = idempotency_key_of(header_values(request.scope, b"idempotency-key"))
    most = service.settings.reply_seconds
    seconds = reply_seconds(request.scope, most)
    work = service.pipeline.grow(order, state["client"], idempotency_key, seconds, most, leaving)
    answer, repeated = await attended(work, request.receive, seconds)
    if isinstance(answer, Answer):
        whole = _noted(state, answer, order, warnings, repeated)
        return whole, whole.headers
    state["audio_bytes"] = 0
    state["log_fields"] = {"format": order.format, "repeated": repeated, "streamed": True}
    return answer, _told(answer.headers, warnings, repeated)


def _noted(
    state: dict[str, Any], answer: Answer, order: SpeechOrder, warnings: Collection[str], repeated: bool
) -> Answer:
    """For the log and the metrics; the answer as this client gets it."""
    state["audio_bytes"] = len(answer.body)
    state["log_fields"] = {
        "audio_seconds": round(answer.audio_seconds, 3),
        "synthesis_seconds": round(answer.synthesis_seconds, 3),
        "format": order.format,
        "repeated": repeated,
    }
    if not repeated and not warnings and answer.headers[-1][0] != WARNINGS:
        return answer
    return replace(answer, headers=_told(answer.headers, warnings, repeated))


def _told(
    headers: tuple[tuple[str, str], ...], warnings: Collection[str], repeated: bool
) -> tuple[tuple[str, str], ...]:
    """With what this client is told beside."""
    found = dict(headers)
    if repeated:
        found["Idempotent-Replayed"] = "true"
    told = [*warnings, *filter(None, [found.pop(WARNINGS, "")])]
    if told:
        found[WARNINGS] = header_text("; ".join(told))
    return tuple(found.items())


def header_text(text: str) -> str:
    """`text` as a header's value: printable ASCII, everything else escaped, of bounded length."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    printable = "".join(character if " " <= character <= "~" else " " for character in escaped)
    return printable[:_MAX_WARNINGS_CHARS].strip()


def idempotency_key_of(given: list[str]) -> str | None:
    """The one Idempotency-Key among a request's headers of this name. Raises ApiError."""
    if not given:
        return None
    if len(given) > 1 or not _IDEMPOTENCY_KEY.fullmatch(given[0]):
        message = "Idempotency-Key must be one header of 1-255 printable ASCII characters without spaces"
        raise ApiError(400, "invalid_value", message, "Idempotency-Key")
    return given[0]
