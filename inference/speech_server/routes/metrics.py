"""`/metrics` in Prometheus' text format."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from speech_server.routes.speaking import ERRORS, ServiceOf

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=Response, responses={401: ERRORS[401]})
async def metrics(service: ServiceOf) -> Response:
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
