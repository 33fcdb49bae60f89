"""`POST /generate`: text to a clip, with everything the engine can be told."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from speech_server.api.generate import GenerateRequest
from speech_server.routes.direct import DirectRoute
from speech_server.routes.speaking import AUDIO, ERRORS, ClipResponse, ServiceOf, speak

router = APIRouter(tags=["speech"], route_class=DirectRoute)


@router.post("/generate", response_class=Response, responses={200: AUDIO, **ERRORS})
async def generate(request: Request, service: ServiceOf, body: GenerateRequest) -> Response:
    clip = await speak(request, service, body.to_order())
    return ClipResponse(clip)
