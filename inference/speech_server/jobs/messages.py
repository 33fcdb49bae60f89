"""What the messages in the queue say: which piece of which job is to be done. No text, no key, no address."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from speech_server.jobs.ids import is_job_id

Channel = Literal["webhook", "topic"]


@dataclass(frozen=True)
class SpeakClip:
    """`redriven`: somebody drove it again from the dead letters, and it may replace the failure that is written down.

    `lives`: how often it came back from the dead letters by itself, because servers had ended with it and nobody had
    found fault with it.
    """

    client: str
    job: str
    clip: int
    redriven: bool = False
    lives: int = 0


@dataclass(frozen=True)
class StartPart:
    """Put the clips of one part of a batch into the queue, and after them the message of the next part.

    So every batch has at most `PART_CLIPS` clips in line at a time, and a job that comes later waits for these and not
    for thousands.
    """

    client: str
    job: str
    part: int
    lives: int = 0


@dataclass(frozen=True)
class Tell:
    """Tell that the job ended, the `attempt`-th time (from 0), not before `at` (seconds since 1970)."""

    client: str
    job: str
    channel: Channel
    attempt: int
    at: float


Task = SpeakClip | StartPart | Tell
_KINDS: dict[str, type[SpeakClip] | type[StartPart] | type[Tell]] = {
    "clip": SpeakClip,
    "part": StartPart,
    "tell": Tell,
}


class NoTaskError(ValueError):
    """A message that this server did not write, or another version of it did."""


def to_body(task: Task) -> str:
    kind = next(name for name, kind in _KINDS.items() if isinstance(task, kind))
    return json.dumps({"do": kind, **asdict(task)}, separators=(",", ":"))


def from_body(body: str) -> Task:
    """Raises NoTaskError."""
    try:
        found = json.loads(body)
        task = _KINDS[found.pop("do")](**found)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NoTaskError("the message is no task of this server") from None
    if not isinstance(task.client, str) or not isinstance(task.job, str) or not is_job_id(task.job):
        raise NoTaskError("the message names no job")
    return task
