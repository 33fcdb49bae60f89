"""The application: what is switched on, in the order in which a request meets it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from fastapi import FastAPI

from speech_server import __version__, errors
from speech_server.auth import Authenticate
from speech_server.limits import LimitBodies
from speech_server.request_log import RequestLog
from speech_server.routes import generate, health, metrics, models, openai_speech
from speech_server.service import Service


def create_app(service: Service) -> FastAPI:
    """The ASGI application; its lifespan starts and stops the engine. /openapi.json needs a key like the rest."""
    settings = service.settings
    app = FastAPI(
        title="IndexTTS2 speech service",
        version=__version__,
        docs_url=None,  # these pages load scripts from a third party's site
        redoc_url=None,
        lifespan=_engine_runs,
    )
    app.state.service = service
    errors.install(app)

    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(generate.router)
    app.include_router(openai_speech.router)
    app.include_router(models.router)

    # The last one added is the first that a request meets.
    app.add_middleware(LimitBodies, max_bytes=settings.max_body_bytes, seconds=settings.body_seconds)
    app.add_middleware(Authenticate, keys=service.keys, hint=settings.key_hint)
    app.add_middleware(
        RequestLog,
        metrics=service.metrics,
        max_requests=settings.max_requests,
        draining=lambda: service.readiness.draining,
    )
    return app


@contextlib.asynccontextmanager
async def _engine_runs(app: FastAPI) -> AsyncGenerator[None]:
    service: Service = app.state.service
    service.host.start()
    try:
        yield
    finally:
        await service.host.stop()
