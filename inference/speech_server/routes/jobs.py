"""`/v1/jobs`: speech that is made when there is time for it, one clip or thousands."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from speech_server.api.json_body import JsonRoute
from speech_server.errors import ApiError, retry_later, shown
from speech_server.jobs.dead_letters import Letter, what_of
from speech_server.jobs.desk import Desk
from speech_server.jobs.ids import is_job_id
from speech_server.jobs.layout import PART_CLIPS
from speech_server.jobs.messages import SpeakClip
from speech_server.jobs.records import JobOrder, Tally
from speech_server.jobs.request import JobRequest
from speech_server.jobs.views import ClipList, JobList, JobView
from speech_server.queues.base import QueueError
from speech_server.routes.speaking import ERRORS, ErrorBody, ServiceOf, idempotency_key_of
from speech_server.service import Service
from speech_server.storage.answers import no_store, store_unavailable
from speech_server.storage.store import StoreError

_MAX_LISTED = 100
_MAX_LETTERS = 500
_COMMON: dict[int | str, dict[str, Any]] = {
    **{status: ERRORS[status] for status in (400, 401, 500, 503)},
    422: ERRORS[400],  # or the framework names an answer of its own, which is never given
}
_BODY: dict[int | str, dict[str, Any]] = {status: ERRORS[status] for status in (408, 413, 415)}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"schema": {"type": "string"}, "description": "where to ask for the job"}}},
    404: {"model": ErrorBody, "description": "There is no such voice"},
    422: ERRORS[422],
}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": ErrorBody, "description": "There is no such job"}}
_NOT_ALLOWED: dict[int | str, dict[str, Any]] = {403: {"model": ErrorBody, "description": "This key may not do that"}}

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=JsonRoute, responses=_COMMON)


class DeadLetterBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    what: str
    client: str | None
    job: str | None
    clip: int | None
    tries: int


class DeadLetterList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    object: str = "list"
    data: list[DeadLetterBody]


class RedriveRequest(BaseModel):
    """`ids` of dead letters, or none of them for all that are listed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: list[Annotated[str, Field(max_length=200)]] | None = Field(None, min_length=1, max_length=_MAX_LETTERS)


class Redriven(BaseModel):
    model_config = ConfigDict(extra="forbid")

    redriven: int


@router.post("", status_code=202, responses={**_ACCEPTED, **_BODY})
async def add_job(request: Request, response: Response, service: ServiceOf, body: JobRequest) -> JobView:
    """Accept one clip, or many in `clips`. An Idempotency-Key makes a repetition the same job, on any server."""
    desk = _desk(service)
    key = idempotency_key_of(request.headers.getlist("idempotency-key"))
    order, repeated = await desk.acceptance.accept(body, _client(request), key)
    response.headers["Location"] = f"/v1/jobs/{order.id}"
    if repeated:
        response.headers["Idempotent-Replayed"] = "true"
        return await _view(desk, order)
    _log(request, order)
    return await desk.views.job(order, Tally(order.total), None)


@router.get("", responses=_NOT_FOUND)
async def list_jobs(
    request: Request,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=_MAX_LISTED)] = 20,
    after: Annotated[str | None, Query(max_length=100, description="the id of the page before's last job")] = None,
) -> JobList:
    """The client's own jobs, the newest first."""
    desk, client = _desk(service), _client(request)
    if after is not None and not is_job_id(after):
        raise ApiError(400, "invalid_value", f"after must be the id of a job, not {shown(after)}", "after")
    found: list[JobView] = []
    try:
        async for job in desk.ledger.orders(client, after):
            if len(found) == limit:
                return JobList(data=found, has_more=True)
            order = await desk.ledger.order(client, job)
            if order is not None:
                found.append(await desk.views.job(order, *await desk.state(order)))
    except StoreError as error:
        raise store_unavailable(error) from None
    return JobList(data=found, has_more=False)


@router.get("/dead-letters", responses=_NOT_ALLOWED)
async def list_dead_letters(
    request: Request, service: ServiceOf, limit: Annotated[int, Query(ge=1, le=_MAX_LETTERS)] = 100
) -> DeadLetterList:
    """What three servers took and none finished, of all clients. For an administrator's key."""
    desk = _desk(service)
    _check_admin(service, request)
    try:
        letters = await desk.dead_letters.letters(limit)
    except QueueError:
        raise _queue_unavailable() from None
    return DeadLetterList(data=[_letter_body(letter) for letter in letters])


@router.post("/dead-letters/redrive", responses={**_NOT_ALLOWED, **_BODY})
async def redrive_dead_letters(request: Request, service: ServiceOf, body: RedriveRequest) -> Redriven:
    """Have them tried again. For an administrator's key."""
    desk = _desk(service)
    _check_admin(service, request)
    try:
        return Redriven(redriven=await desk.dead_letters.redrive(body.ids, _MAX_LETTERS))
    except QueueError:
        raise _queue_unavailable() from None


@router.get("/{job}", responses=_NOT_FOUND)
async def get_job(job: str, request: Request, service: ServiceOf) -> JobView:
    """How far the job is; for a job of one clip also its result."""
    desk = _desk(service)
    return await _view(desk, await _order(desk, request, job))


@router.get("/{job}/clips", responses=_NOT_FOUND)
async def list_clips(
    job: str,
    request: Request,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=PART_CLIPS)] = PART_CLIPS,
    after: Annotated[int, Query(ge=-1, le=1_000_000, description="the number of the page before's last clip")] = -1,
) -> ClipList:
    """The clips in the order of the request, each with the URL of its sound once it is spoken."""
    desk = _desk(service)
    order = await _order(desk, request, job)
    numbers = range(min(after + 1, order.total), min(after + 1 + limit, order.total))
    try:
        end = await desk.ledger.end(order.client, order.id)
        if order.total == 1:
            outcomes = {} if end is None or end.outcome is None else {0: end.outcome}
        else:
            outcomes = await desk.ledger.outcomes(order, numbers.start, len(numbers))
        clips = await desk.views.clips(order, outcomes, numbers, end)
    except StoreError as error:
        raise store_unavailable(error) from None
    return ClipList(data=clips, has_more=numbers.stop < order.total)


@router.delete("/{job}", responses=_NOT_FOUND)
async def cancel_job(job: str, request: Request, service: ServiceOf) -> JobView:
    """Speak nothing more of it; what was spoken stays. A job that has ended is answered as it is."""
    desk = _desk(service)
    order = await _order(desk, request, job)
    try:
        return await desk.views.job(order, *await desk.cancel(order))
    except StoreError as error:
        raise store_unavailable(error) from None


def _desk(service: Service) -> Desk:
    if service.store is None:
        raise no_store()
    if service.jobs is None:
        message = "this service has no queue, so it takes no jobs: POST /generate, or have SPEECH_QUEUE set"
        raise ApiError(503, "no_queue", message)
    return service.jobs


def _client(request: Request) -> str:
    return request.scope["state"]["client"]


def _check_admin(service: Service, request: Request) -> None:
    policy = service.keys.policy(_client(request))
    if policy is None or not policy.admin:
        message = 'this is for an administrator: a client with "admin": true in the keys file'
        raise ApiError(403, "admin_only", message)


async def _order(desk: Desk, request: Request, job: str) -> JobOrder:
    """The client's own job. Raises ApiError; another client's job looks the same as none."""
    try:
        order = await desk.ledger.order(_client(request), job) if is_job_id(job) else None
    except StoreError as error:
        raise store_unavailable(error) from None
    if order is None:
        raise ApiError(404, "job_not_found", f"there is no job {shown(job)}", "job")
    return order


async def _view(desk: Desk, order: JobOrder) -> JobView:
    try:
        return await desk.views.job(order, *await desk.state(order))
    except StoreError as error:
        raise store_unavailable(error) from None


def _log(request: Request, order: JobOrder) -> None:
    request.scope["state"]["log_fields"] = {"job": order.id, "clips": order.total}


def _letter_body(letter: Letter) -> DeadLetterBody:
    task = letter.task
    return DeadLetterBody(
        id=letter.message.id,
        what=what_of(task),
        client=None if task is None else task.client,
        job=None if task is None else task.job,
        clip=task.clip if isinstance(task, SpeakClip) else None,
        tries=letter.message.tries,
    )


def _queue_unavailable() -> ApiError:
    return retry_later(503, "queue_unavailable", "the queue cannot be reached at the moment", 5)
