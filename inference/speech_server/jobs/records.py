"""What is written down of a job: plain data, its JSON, and the arithmetic of its progress."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from speech_server.jobs.layout import PART_CLIPS

ClipStatus = Literal["succeeded", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class ClipOrder:
    """One clip as it was ordered. `fields` are those of /generate without samples; a sample is in the store under the
    sha256 of its bytes, and a voice is pinned to the sha256 of its sample.
    """

    fields: Mapping[str, Any]
    reference_sha256: str | None = None
    emotion_sha256: str | None = None
    voice_sha256: str | None = None


@dataclass(frozen=True)
class JobOrder:
    """`created_at` is in seconds since 1970; `total` is of clips."""

    id: str
    client: str
    created_at: float
    clips: Sequence[ClipOrder]
    webhook: str | None = None

    @property
    def total(self) -> int:
        return len(self.clips)

    @property
    def parts(self) -> int:
        return -(-self.total // PART_CLIPS)


@dataclass(frozen=True)
class ClipError:
    """As in the errors of the API. `gave_up`: the clip is a dead letter, which can be driven again."""

    code: str
    message: str
    param: str | None = None
    gave_up: bool = False


@dataclass(frozen=True)
class Outcome:
    """How one clip ended. Seconds are of sound, but for `synthesis_seconds`; `bytes` and `sha256` are of the object."""

    clip: int
    status: ClipStatus
    finished_at: float
    key: str | None = None
    format: str | None = None
    bytes: int = 0
    sha256: str | None = None
    audio_seconds: float = 0.0
    natural_seconds: float = 0.0
    synthesis_seconds: float = 0.0
    engine: str | None = None
    warnings: str | None = None
    error: ClipError | None = None


@dataclass(frozen=True)
class Tally:
    """How far a job is."""

    total: int
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    audio_seconds: float = 0.0
    synthesis_seconds: float = 0.0

    @property
    def finished(self) -> int:
        return self.succeeded + self.failed + self.cancelled

    def with_outcomes(self, outcomes: Iterable[Outcome]) -> Tally:
        found = list(outcomes)
        return Tally(
            total=self.total,
            succeeded=self.succeeded + sum(outcome.status == "succeeded" for outcome in found),
            failed=self.failed + sum(outcome.status == "failed" for outcome in found),
            cancelled=self.cancelled + sum(outcome.status == "cancelled" for outcome in found),
            audio_seconds=self.audio_seconds + sum(outcome.audio_seconds for outcome in found),
            synthesis_seconds=self.synthesis_seconds + sum(outcome.synthesis_seconds for outcome in found),
        )

    def cancel_rest(self) -> Tally:
        return replace(self, cancelled=self.cancelled + self.total - self.finished)


@dataclass(frozen=True)
class End:
    """How a job ended. `outcome` is that of a job of one clip, None if it was never tried."""

    status: JobStatus
    finished_at: float
    tally: Tally
    outcome: Outcome | None = None
    error: ClipError | None = None


def end_of(tally: Tally, finished_at: float, outcome: Outcome | None = None) -> End:
    """The end of a job all of whose clips have an outcome."""
    status: JobStatus = "succeeded"
    if tally.failed:
        status = "failed"
    elif tally.cancelled:
        status = "cancelled"
    return End(status, finished_at, tally, outcome)


def order_to_json(order: JobOrder) -> bytes:
    # Not by asdict, which copies every value of ten thousand clips.
    clips = [{name: value for name, value in vars(clip).items() if value is not None} for clip in order.clips]
    return _dump({"id": order.id, "created_at": order.created_at, "webhook": order.webhook, "clips": clips})


def order_from_json(data: bytes, client: str) -> JobOrder:
    found = json.loads(data)
    clips = [ClipOrder(**clip) for clip in found["clips"]]
    return JobOrder(found["id"], client, found["created_at"], clips, found["webhook"])


def outcome_to_json(outcome: Outcome) -> bytes:
    return _dump(asdict(outcome))


def outcome_from_json(data: bytes) -> Outcome:
    return _outcome(json.loads(data))


def outcomes_to_json(outcomes: Sequence[Outcome]) -> bytes:
    return _dump({"clips": [asdict(outcome) for outcome in outcomes]})


def outcomes_from_json(data: bytes) -> list[Outcome]:
    return [_outcome(found) for found in json.loads(data)["clips"]]


def end_to_json(end: End) -> bytes:
    return _dump(asdict(end))


def end_from_json(data: bytes) -> End:
    found = json.loads(data)
    return End(
        status=found["status"],
        finished_at=found["finished_at"],
        tally=Tally(**found["tally"]),
        outcome=None if found["outcome"] is None else _outcome(found["outcome"]),
        error=_error(found["error"]),
    )


def note_to_json(note: Mapping[str, Any]) -> bytes:
    """A small record that has no type of its own."""
    return _dump(note)


def _outcome(found: dict[str, Any]) -> Outcome:
    fields: dict[str, Any] = {**found, "error": _error(found["error"])}
    return Outcome(**fields)


def _error(found: dict[str, Any] | None) -> ClipError | None:
    return None if found is None else ClipError(**found)


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
