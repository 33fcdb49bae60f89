"""`/healthz`: the process is alive. `/readyz`: it may be sent requests. Both are open to all."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from speech_server import __version__
from speech_server.engines.host import State
from speech_server.routes.speaking import ERRORS, ServiceOf

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """`engines`: each engine process of this server, in the order of their numbers in the log and the metrics."""

    status: str = "ok"
    version: str
    image: str
    replica: str
    engines: list[State]


class Ready(BaseModel):
    """`degraded`: speech goes on, and what is listed in `failing` since then does not; `problems` says what to mend."""

    status: Literal["ready", "degraded"]
    engine: str
    failing: dict[str, datetime] = {}
    problems: tuple[str, ...] = ()


@router.get("/healthz")
async def healthz(service: ServiceOf) -> Health:
    return Health(
        version=__version__,
        image=service.settings.image,
        replica=service.settings.replica,
        engines=service.host.states(),
    )


@router.get("/readyz", response_model_exclude_defaults=True, responses={503: ERRORS[503]})
async def readyz(service: ServiceOf) -> Ready:
    service.readiness.check()
    capabilities = service.host.capabilities
    assert capabilities is not None
    failing = service.readiness.degraded()
    engine = f"{capabilities.name}/{capabilities.version}"
    problems = service.readiness.problems
    status = "degraded" if failing or problems else "ready"
    return Ready(status=status, engine=engine, failing=failing, problems=problems)
