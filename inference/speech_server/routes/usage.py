"""`GET /v1/usage`: what was had on which day, to be charged for."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict

from speech_server.errors import ApiError, shown
from speech_server.routes.speaking import ERRORS, ServiceOf
from speech_server.storage.answers import no_store, store_unavailable
from speech_server.storage.store import StoreError
from speech_server.usage.ledger import utc_day
from speech_server.usage.report import usage_of

_MAX_DAYS = 31
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

router = APIRouter(tags=["usage"])


def _written_as_a_date(found: object) -> object:
    # pydantic takes a number for seconds since 1970.
    if isinstance(found, str) and not _DAY.fullmatch(found):
        raise ValueError(f"must be a date like 2026-03-01, not {shown(found)}")
    return found


Day = Annotated[date, BeforeValidator(_written_as_a_date)]


class UsageEntry(BaseModel):
    """One client's day, in UTC; `request` is what was answered at once, `job` what jobs made."""

    model_config = ConfigDict(extra="forbid")

    date: date
    client: str
    kind: Literal["request", "job"]
    clips: int
    characters: int
    audio_seconds: float
    synthesis_seconds: float


class UsageList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    object: Literal["list"] = "list"
    data: list[UsageEntry]


@router.get("/v1/usage", responses={400: ERRORS[400], 401: ERRORS[401], 422: ERRORS[400], 503: ERRORS[503]})
async def usage(
    request: Request,
    service: ServiceOf,
    first: Annotated[Day | None, Query(alias="from", description="default: today")] = None,
    last: Annotated[Day | None, Query(alias="to", description="default: today; at most 31 days with `from`")] = None,
) -> UsageList:
    """This key's own use, by day; with an administrator's key, every client's."""
    if service.store is None or service.usage is None:
        raise no_store()
    today = utc_day()
    first, last = _span(first or last or today, last or today)
    client = request.scope["state"]["client"]
    policy = service.keys.policy(client)
    everybody = policy is not None and policy.admin
    try:
        await service.usage.keep()
        days = await usage_of(service.store, first, last)
    except StoreError as error:
        raise store_unavailable(error) from None
    return UsageList(
        data=[
            UsageEntry(
                date=day,
                client=owner,
                kind="job" if kind == "job" else "request",
                clips=use.clips,
                characters=use.characters,
                audio_seconds=round(use.audio_seconds, 3),
                synthesis_seconds=round(use.synthesis_seconds, 3),
            )
            for day, accounts in days.items()
            for (owner, kind), use in sorted(accounts.items())
            if everybody or owner == client
        ]
    )


def _span(first: date, last: date) -> tuple[date, date]:
    if last < first:
        raise ApiError(400, "invalid_value", f"to is before from: {last} and {first}", "to")
    if last - first >= timedelta(days=_MAX_DAYS):
        raise ApiError(400, "invalid_value", f"from and to may be {_MAX_DAYS} days apart at most", "to")
    return first, last
