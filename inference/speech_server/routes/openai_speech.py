"""`POST /v1/audio/speech`: OpenAI's contract, for clients that know no other."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from speech_server.api.openai import SpeechRequest
from speech_server.dedup import Answer
from speech_server.routes.direct import DirectRoute
from speech_server.routes.speaking import AUDIO, ERRORS, ClipResponse, ServiceOf, speak

_DELTA_BYTES = 24 * 1024  # of sound an event; a multiple of three, so that base64 needs no padding inside

_AUDIO_OR_EVENTS = {**AUDIO, "content": {**AUDIO["content"], "text/event-stream": {"schema": {"type": "string"}}}}

router = APIRouter(tags=["openai"], route_class=DirectRoute)


@router.post("/v1/audio/speech", response_class=Response, responses={200: _AUDIO_OR_EVENTS, **ERRORS})
async def speech(request: Request, service: ServiceOf, body: SpeechRequest) -> Response:
    order, warnings = body.to_order(await service.pipeline.engine())
    clip = await speak(request, service, order, warnings)
    if body.stream_format == "sse":
        events = _events(clip, len(order.text))
        return StreamingResponse(events, media_type="text/event-stream", headers=dict(clip.headers))
    return ClipResponse(clip)


async def _events(clip: Answer, characters: int) -> AsyncIterator[bytes]:
    """The clip as events. No engine here counts tokens: characters in and begun seconds out stand in for them."""
    for start in range(0, len(clip.body), _DELTA_BYTES):
        audio = base64.b64encode(clip.body[start : start + _DELTA_BYTES]).decode()
        yield _event({"type": "speech.audio.delta", "audio": audio})
    seconds = math.ceil(clip.audio_seconds)
    usage = {"input_tokens": characters, "output_tokens": seconds, "total_tokens": characters + seconds}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
