"""The application: what is switched on, in the order in which a request meets it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from fastapi import FastAPI
from starlette.types import ASGIApp

from speech_server import __version__, errors
from speech_server.auth import Authenticate
from speech_server.limits import LimitBodies
from speech_server.openapi import document
from speech_server.request_log import RequestLog
from speech_server.routes import files, generate, health, jobs, metrics, models, openai_speech, usage, voices
from speech_server.routes.direct import DirectRoutes
from speech_server.service import Service


def create_app(service: Service) -> ASGIApp:
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
    app.include_router(voices.router)
    app.include_router(files.router)
    app.include_router(jobs.router)
    app.include_router(usage.router)
    document(app)

    # The last one is the first that a request meets.
    routed = DirectRoutes(app, (generate.router, openai_speech.router), service)
    limited = LimitBodies(routed, settings.max_body_bytes, settings.body_seconds)
    authenticated = Authenticate(limited, service.keys, settings.key_hint)
    return RequestLog(
        authenticated,
        service.metrics,
        service.traces,
        settings.max_requests,
        draining=lambda: service.readiness.draining,
    )


@contextlib.asynccontextmanager
async def _engine_runs(app: FastAPI) -> AsyncGenerator[None]:
    service: Service = app.state.service
    service.host.start()
    beside = [asyncio.create_task(work) for work in service.background()]
    if service.jobs is not None:
        service.jobs.start()
    try:
        yield
    finally:
        if service.jobs is not None:
            await service.jobs.stop()
        for task in beside:
            task.cancel()
        await service.host.stop()
        if service.usage is not None:
            await service.usage.close()
        if service.log_objects is not None:
            await service.log_objects.close()
        if service.store is not None:
            service.store.close()
