"""What is done once an hour or a day, by whichever server comes first: mend jobs whose messages were lost, and delete
what was kept long enough or never finished.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from speech_server.jobs import layout
from speech_server.jobs.acceptance import first_task
from speech_server.jobs.ids import created_at, is_job_id
from speech_server.jobs.ledger import Ledger
from speech_server.jobs.messages import to_body
from speech_server.queues.base import Queue
from speech_server.storage.store import ExistsError, Store

# A job's first message is sent a moment after its order is written.
_MENDED_AFTER_SECONDS = 900
# Nobody writes at one object for so long without adding to it.
_UNFINISHED_AFTER = timedelta(hours=1)
_KEPT_CLAIMS = timedelta(days=2)

log = logging.getLogger("speech_server.jobs")


@dataclass(frozen=True)
class Tidying:
    """Every method raises StoreError or QueueError. `result_days`: None keeps everything."""

    store: Store
    queue: Queue
    ledger: Ledger
    result_days: int | None
    clock: Callable[[], float] = time.time

    async def tidy(self) -> None:
        """Whatever is due now and nobody else has taken on."""
        now = datetime.fromtimestamp(self.clock(), timezone.utc)
        if await self._claim(f"{now:%Y%m%dT%H}"):
            await self.mend()
            await self._delete_unfinished(now - _UNFINISHED_AFTER)
        if self.result_days is not None and await self._claim(f"{now:%Y%m%d}"):
            await self.delete_old(self.result_days)

    async def mend(self) -> None:
        """Put jobs that have not ended into the queue again if it is empty: their messages were lost."""
        depth = await self.queue.depth()
        if depth.waiting + depth.in_flight + depth.delayed > 0:
            return
        ended = {layout.client_and_job(found.key) async for found in self.store.list(layout.DONE)}
        # Orders alone do not count: one that was refused may be left over from an outage, and must not be spoken.
        async for client, job, _ in self._jobs(layout.QUEUED):
            if (client, job) in ended or created_at(job) > self.clock() - _MENDED_AFTER_SECONDS:
                continue
            order = await self.ledger.order(client, job)
            if order is not None and not await self.ledger.has_ended(client, job):
                log.warning("job_mended", extra={"fields": {"client": client, "job": job}})
                await self.queue.send([to_body(first_task(order))])

    async def _delete_unfinished(self, before: datetime) -> None:
        count = await self.store.delete_unfinished(before)
        if count:
            log.info("unfinished_objects_deleted", extra={"fields": {"objects": count}})

    async def delete_old(self, days: int) -> None:
        """Results, samples and the records of ended jobs that are older than so many days."""
        oldest = datetime.fromtimestamp(self.clock(), timezone.utc) - timedelta(days=days)
        count = 0
        async for found in self.store.list(layout.RESULTS):
            day = layout.day_of_result(found.key)
            if day is None:
                continue
            if day >= oldest.date():
                break  # the keys are in the order of the days
            await self.store.delete(found.key)
            count += 1
        for folder in (layout.UPLOADS, layout.KEYS):
            async for found in self.store.list(folder):
                if found.modified < oldest:
                    await self.store.delete(found.key)
                    count += 1
        ended = {layout.client_and_job(found.key) async for found in self.store.list(layout.DONE)}
        async for client, job, key in self._jobs(layout.ORDERS):
            if created_at(job) < oldest.timestamp() and (client, job) in ended:
                count += await self._delete_records(client, job)
                await self.store.delete(key)
        async for found in self.store.list(layout.SWEEPS):
            if found.modified < oldest - _KEPT_CLAIMS:
                await self.store.delete(found.key)
        log.info("old_jobs_deleted", extra={"fields": {"objects": count, "days": days}})

    async def _delete_records(self, client: str, job: str) -> int:
        """All but the order, whose deletion makes the job unknown."""
        count = 0
        for folder in (layout.clips_of(client, job), layout.parts_of(client, job), layout.told_of(client, job)):
            async for found in self.store.list(folder):
                await self.store.delete(found.key)
                count += 1
        await self.store.delete(layout.queued_key(client, job))
        await self.store.delete(layout.done_key(client, job))
        return count + 1

    async def _jobs(self, folder: str) -> AsyncIterator[tuple[str, str, str]]:
        async for found in self.store.list(folder):
            client, job = layout.client_and_job(found.key)
            if is_job_id(job):
                yield client, job, found.key

    async def _claim(self, name: str) -> bool:
        try:
            await self.store.put(f"{layout.SWEEPS}{name}.json", b"{}", "application/json", create=True)
        except ExistsError:
            return False
        return True
