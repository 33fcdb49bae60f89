"""`/metrics` in Prometheus' text format."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from speech_server.routes.speaking import ERRORS, ServiceOf

router = APIRouter(tags=["metrics"])

_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get("/metrics", response_class=Response, responses={200: _TEXT, 401: ERRORS[401]})
async def metrics(request: Request, service: ServiceOf) -> Response:
    """This server's figures; those of single clients only with an administrator's key."""
    text = generate_latest(service.metrics.registry)
    policy = service.keys.policy(request.scope["state"]["client"])
    if policy is not None and policy.admin:
        text += generate_latest(service.metrics.clients)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
