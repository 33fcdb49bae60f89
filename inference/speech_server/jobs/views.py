"""What clients are shown of a job: the objects of the API and of its notifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from speech_server.jobs import layout
from speech_server.jobs.records import ClipError, End, JobOrder, JobStatus, Outcome, Tally
from speech_server.storage.store import Store

URL_SECONDS = 24 * 3600
"""How long a clip's URL can be used; asking again gives a new one."""


class Progress(BaseModel):
    model_config = ConfigDict(extra="forbid")

    total: int
    succeeded: int
    failed: int
    cancelled: int
    audio_seconds: float
    synthesis_seconds: float


class ErrorView(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message: str
    code: str
    param: str | None


class ClipView(BaseModel):
    """`status` "waiting": it has no outcome yet. Seconds are of sound, but for `synthesis_seconds`."""

    model_config = ConfigDict(extra="forbid")

    clip: int
    status: Literal["waiting", "succeeded", "failed", "cancelled"]
    url: str | None = None
    url_expires_in: int | None = None
    key: str | None = None
    format: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    audio_seconds: float | None = None
    natural_seconds: float | None = None
    synthesis_seconds: float | None = None
    engine: str | None = None
    warnings: str | None = None
    error: ErrorView | None = None


class JobView(BaseModel):
    """`clips` is there for a job of one clip; those of a batch have a page of their own."""

    model_config = ConfigDict(extra="forbid")

    id: str
    object: Literal["job"] = "job"
    status: JobStatus
    created_at: int
    finished_at: int | None
    progress: Progress
    error: ErrorView | None = None
    clips: list[ClipView] | None = None


class JobList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    object: Literal["list"] = "list"
    data: list[JobView]
    has_more: bool


class ClipList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    object: Literal["list"] = "list"
    data: list[ClipView]
    has_more: bool


@dataclass(frozen=True)
class Views:
    """Makes them; the URLs are the store's."""

    store: Store

    async def job(self, order: JobOrder, tally: Tally, end: End | None) -> JobView:
        clips = None
        if order.total == 1:
            outcome = None if end is None else end.outcome
            clips = await self.clips(order, {} if outcome is None else {0: outcome}, range(1), end)
        return JobView(
            id=order.id,
            status=status_of(tally, end),
            created_at=int(order.created_at),
            finished_at=None if end is None else int(end.finished_at),
            progress=_progress(tally),
            error=None if end is None else _error(end.error),
            clips=clips,
        )

    async def clips(
        self, order: JobOrder, outcomes: Mapping[int, Outcome], numbers: Sequence[int], end: End | None
    ) -> list[ClipView]:
        """The clips `numbers`; one without an outcome waits, or was cancelled if the job has ended."""
        return [await self._clip(order, number, outcomes.get(number), end) for number in numbers]

    async def _clip(self, order: JobOrder, number: int, outcome: Outcome | None, end: End | None) -> ClipView:
        if outcome is None:
            return ClipView(clip=number, status="waiting" if end is None else "cancelled")
        if outcome.key is None or outcome.format is None:
            return ClipView(clip=number, status=outcome.status, error=_error(outcome.error))
        name = layout.result_name(order.id, number, order.total, outcome.format)
        return ClipView(
            clip=number,
            status=outcome.status,
            url=await self.store.presign(outcome.key, URL_SECONDS, name),
            url_expires_in=URL_SECONDS,
            key=outcome.key,
            format=outcome.format,
            bytes=outcome.bytes,
            sha256=outcome.sha256,
            audio_seconds=outcome.audio_seconds,
            natural_seconds=outcome.natural_seconds,
            synthesis_seconds=outcome.synthesis_seconds,
            engine=outcome.engine,
            warnings=outcome.warnings,
        )


def status_of(tally: Tally, end: End | None) -> JobStatus:
    if end is not None:
        return end.status
    return "running" if tally.finished else "queued"


def _progress(tally: Tally) -> Progress:
    return Progress(
        total=tally.total,
        succeeded=tally.succeeded,
        failed=tally.failed,
        cancelled=tally.cancelled,
        audio_seconds=round(tally.audio_seconds, 3),
        synthesis_seconds=round(tally.synthesis_seconds, 3),
    )


def _error(error: ClipError | None) -> ErrorView | None:
    return None if error is None else ErrorView(message=error.message, code=error.code, param=error.param)
