"""What leaves a bucket by itself, in every cloud."""

from __future__ import annotations

from dataclasses import dataclass

from components.settings.cloud import CloudStorageSettings

# A deleted voice, or a clip that was overwritten, can be brought back for so long.
RECOVERABLE_DAYS = 30
UPLOAD_DAYS = 7


@dataclass(frozen=True)
class LifecycleRule:
    """What is deleted below `prefix` ("": everywhere), in days. `expire`: objects; `noncurrent`: what they replaced."""

    id: str
    prefix: str
    expire: int | None
    noncurrent: int


def lifecycle(storage: CloudStorageSettings) -> tuple[LifecycleRule, ...]:
    """What goes by itself. Voices and weights stay until somebody deletes them."""
    return (
        LifecycleRule("results", "results/", storage.result_days, noncurrent=1),
        LifecycleRule("jobs", "jobs/", storage.result_days, noncurrent=1),
        LifecycleRule("logs", "logs/", storage.log_days, noncurrent=1),
        LifecycleRule("uploads", "uploads/", UPLOAD_DAYS, noncurrent=1),
        LifecycleRule("everything", "", None, noncurrent=RECOVERABLE_DAYS),
    )
