"""The application: what is switched on, in the order in which a request meets it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping

from fastapi import FastAPI
from starlette.types import ASGIApp

from speech_server import __version__, errors, logs
from speech_server.auth import Authenticate
from speech_server.limits import LimitBodies
from speech_server.openapi import document
from speech_server.rehearsal import rehearse
from speech_server.request_log import LogLine, RequestLog
from speech_server.routes import files, generate, health, jobs, metrics, models, openai_speech, usage, voices
from speech_server.routes.direct import DirectRoutes
from speech_server.service import Service


def create_app(service: Service) -> ASGIApp:
    """The ASGI application; its lifespan starts and stops the engine. /openapi.json needs a key like the rest."""
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

    return _guarded(app, service, logs.line)


def _guarded(app: ASGIApp, service: Service, log_line: LogLine) -> ASGIApp:
    """What a request goes through before its route. The last one here is the first that it meets."""
    settings = service.settings
    routed = DirectRoutes(app, (generate.router, openai_speech.router), service)
    limited = LimitBodies(routed, settings.max_body_bytes, settings.body_seconds)
    authenticated = Authenticate(limited, service.keys, settings.key_hint)
    return RequestLog(
        authenticated,
        service.metrics,
        service.traces,
        settings.max_requests,
        draining=lambda: service.readiness.draining,
        log_line=log_line,
    )


@contextlib.asynccontextmanager
async def _engine_runs(app: FastAPI) -> AsyncGenerator[None]:
    service: Service = app.state.service
    service.host.start()
    await rehearse(service, lambda stand_in: _guarded(app, stand_in, _unsaid))
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


def _unsaid(event: str, fields: Mapping[str, object]) -> None:
    """Where the log lines of the rehearsal go."""
