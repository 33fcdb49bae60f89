"""`POST /v1/audio/speech`: OpenAI's contract, for clients that know no other."""

from __future__ import annotations

from contextlib import ExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Scope

from speech_server.answers import Answer
from speech_server.api.openai import SpeechRequest
from speech_server.asgi_headers import header
from speech_server.routes.direct import DirectRoute
from speech_server.routes.growing import Events, GrowingResponse, Plain
from speech_server.routes.speaking import (
    AUDIO,
    ERRORS,
    WARNINGS,
    ClipResponse,
    ServiceOf,
    raw_headers,
    speak,
    speak_growing,
)

_EVENTS = "text/event-stream"
_EVENTS_TYPE = f"{_EVENTS}; charset=utf-8"
# A clip that is sent while it is being spoken has no length yet.
_HEADERS = {name: {**told, "required": name == "X-Engine"} for name, told in AUDIO["headers"].items()}
_AUDIO_OR_EVENTS = {
    **AUDIO,
    "headers": _HEADERS,
    "content": {**AUDIO["content"], _EVENTS: {"schema": {"type": "string"}}},
}

router = APIRouter(tags=["openai"], route_class=DirectRoute)


@router.post("/v1/audio/speech", response_class=Response, responses={200: _AUDIO_OR_EVENTS, **ERRORS})
async def speech(request: Request, service: ServiceOf, body: SpeechRequest) -> Response:
    order, warnings = body.to_order(await service.pipeline.speaker.engine())
    if "stream_format" not in body.model_fields_set and _is_read_whole(request.scope):
        return ClipResponse(await speak(request, service, order, warnings))
    with ExitStack() as leaving:
        clip, headers = await speak_growing(request, service, order, warnings, leaving)
        if isinstance(clip, Answer):
            return _whole_in_events(clip, len(order.text)) if body.stream_format == "sse" else ClipResponse(clip)
        framing, media_type = Plain(), clip.media_type
        if body.stream_format == "sse":
            framing, media_type = Events(len(order.text), dict(clip.headers).get(WARNINGS, "")), _EVENTS_TYPE
        seconds = service.settings.reply_seconds
        return GrowingResponse(clip, framing, headers, media_type, seconds, service.metrics, leaving.pop_all())


def _is_read_whole(scope: Scope) -> bool:
    """Whether it is `create()` of OpenAI's Python library, which waits for the end of the answer whatever it is: that
    may as well have its length. The library says so in its headers when it streams.
    """
    return header(scope, b"x-stainless-lang") == "python" and header(scope, b"x-stainless-raw-response") != "stream"


def _whole_in_events(clip: Answer, characters: int) -> Response:
    events = Events(characters, dict(clip.headers).get(WARNINGS, ""))
    response = Response(events.piece(clip.body) + events.end(clip))
    response.raw_headers[:0] = raw_headers(clip.headers)
    response.raw_headers.append((b"content-type", _EVENTS_TYPE.encode()))
    return response
