"""`POST /generate`: text to a clip, with everything the engine can be told."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from speech_server.api.generate import GenerateRequest
from speech_server.api.json_body import JsonRoute
from speech_server.routes.speaking import AUDIO, ERRORS, ServiceOf, speak

router = APIRouter(tags=["speech"], route_class=JsonRoute)


@router.post("/generate", response_class=Response, responses={200: AUDIO, **ERRORS})
async def generate(request: Request, service: ServiceOf, body: GenerateRequest) -> Response:
    clip = await speak(request, service, body.to_order())
    return Response(clip.body, media_type=clip.media_type, headers=dict(clip.headers))
