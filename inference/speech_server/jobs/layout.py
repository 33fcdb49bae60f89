"""Where in the store what belongs to jobs is kept.

The records of one kind stand in one folder, so that each is listed without the others:

    jobs/orders/CLIENT/JOB.json             what was ordered; there is a job as long as this is there
    jobs/queued/CLIENT/JOB.json             that its first message reached the queue: the job is accepted
    jobs/keys/CLIENT/SHA256.json            which job an Idempotency-Key made
    jobs/clips/CLIENT/JOB/CC/NNNNN.json     the outcome of one clip of a batch, CC its hundred
    jobs/parts/CLIENT/JOB/CC.json           the outcomes of a complete hundred together
    jobs/done/CLIENT/JOB.json               how the job ended; a single clip's outcome is in it
    jobs/told/CLIENT/JOB/CHANNEL-END-WHAT.json   how far the telling of the end is
    jobs/sweeps/TIME.json                   which hour's or day's tidying somebody took on
    uploads/CLIENT/SHA256                   voice samples that came with orders
    results/YYYY/MM/DD/JOB[-NNNNN].EXT      what was spoken, by the day on which the job came
"""

from __future__ import annotations

from datetime import date, datetime, timezone

from speech_server.jobs.ids import created_at

ORDERS = "jobs/orders/"
QUEUED = "jobs/queued/"
KEYS = "jobs/keys/"
DONE = "jobs/done/"
SWEEPS = "jobs/sweeps/"
RESULTS = "results/"
UPLOADS = "uploads/"

PART_CLIPS = 100
"""Clips whose outcomes are gathered into one object, and that are put into the queue together."""


def order_key(client: str, job: str) -> str:
    return f"{ORDERS}{client}/{job}.json"


def orders_of(client: str) -> str:
    return f"{ORDERS}{client}/"


def queued_key(client: str, job: str) -> str:
    return f"{QUEUED}{client}/{job}.json"


def idempotency_key(client: str, sha256: str) -> str:
    return f"{KEYS}{client}/{sha256}.json"


def clips_of(client: str, job: str) -> str:
    return f"jobs/clips/{client}/{job}/"


def clips_of_part(client: str, job: str, part: int) -> str:
    return f"{clips_of(client, job)}{part:02d}/"


def clip_key(client: str, job: str, clip: int) -> str:
    return f"{clips_of_part(client, job, clip // PART_CLIPS)}{clip:05d}.json"


def clip_of_key(key: str) -> int:
    return int(key.rpartition("/")[2].removesuffix(".json"))


def parts_of(client: str, job: str) -> str:
    return f"jobs/parts/{client}/{job}/"


def part_key(client: str, job: str, part: int) -> str:
    return f"{parts_of(client, job)}{part:02d}.json"


def part_of_key(key: str) -> int:
    return clip_of_key(key)


def done_key(client: str, job: str) -> str:
    return f"{DONE}{client}/{job}.json"


def told_of(client: str, job: str) -> str:
    return f"jobs/told/{client}/{job}/"


def told_key(client: str, job: str, name: str) -> str:
    return f"{told_of(client, job)}{name}.json"


def upload_key(client: str, sha256: str) -> str:
    return f"{UPLOADS}{client}/{sha256}"


def result_key(job: str, clip: int, total: int, suffix: str) -> str:
    return f"{RESULTS}{day_of(job):%Y/%m/%d}/{result_name(job, clip, total, suffix)}"


def result_name(job: str, clip: int, total: int, suffix: str) -> str:
    return f"{job}.{suffix}" if total == 1 else f"{job}-{clip:05d}.{suffix}"


def day_of_result(key: str) -> date | None:
    """The day in the key of a result; None for a key of another kind."""
    parts = key.removeprefix(RESULTS).split("/")
    try:
        year, month, day = map(int, parts[:3])
        return date(year, month, day)
    except ValueError:
        return None


def day_of(job: str) -> date:
    """The day, in UTC, on which the job came."""
    return datetime.fromtimestamp(created_at(job), timezone.utc).date()


def client_and_job(key: str) -> tuple[str, str]:
    """The names in the key of an order or of an end."""
    _, client, name = key.rsplit("/", 2)
    return client, name.removesuffix(".json")
