"""The parts of jobs in one server, made from its settings, and what of them runs beside the requests."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial

from speech_server.auth import KeyRing
from speech_server.jobs.acceptance import Acceptance
from speech_server.jobs.completion import Completion
from speech_server.jobs.dead_letters import DeadLetters
from speech_server.jobs.ledger import Ledger
from speech_server.jobs.records import ClipError, End, JobOrder, Tally
from speech_server.jobs.runner import Runner
from speech_server.jobs.speaking import ClipSpeaker
from speech_server.jobs.telling import Telling
from speech_server.jobs.tidying import Tidying
from speech_server.jobs.views import Views
from speech_server.jobs.work import Work
from speech_server.metrics import Metrics
from speech_server.notify.public_http import PublicHttp
from speech_server.notify.topic import open_topic
from speech_server.notify.webhook import Webhooks
from speech_server.pipeline import Pipeline
from speech_server.queues.base import Depth, Queue, QueueError
from speech_server.queues.open_queue import open_queue
from speech_server.readiness import Readiness
from speech_server.settings import Settings
from speech_server.storage.store import Store, StoreError
from speech_server.voices.registry import Voices

_CANCELLED = ClipError("cancelled", "the job was cancelled")

_DEPTHS = {
    "waiting": "Messages in the queue that may be taken now",
    "delayed": "Messages in the queue that may be taken later",
    "in_flight": "Messages that a server has",
    "dead": "Dead letters",
}

log = logging.getLogger("speech_server.jobs")


@dataclass
class Desk:
    """`start()` and `stop()` it inside the event loop."""

    queue: Queue
    ledger: Ledger
    views: Views
    acceptance: Acceptance
    dead_letters: DeadLetters
    telling: Telling
    tidying: Tidying
    runner: Runner
    watch_seconds: float
    depth: Depth = field(default_factory=lambda: Depth(0, 0, 0, 0))
    failing_since: datetime | None = None
    _watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.runner.start()
        self._watch = asyncio.create_task(self._keep_watch())

    def watched_by(self, metrics: Metrics, readiness: Readiness) -> None:
        """Let /metrics and /readyz tell of the queue as this server saw it last."""
        for state, help_text in _DEPTHS.items():
            metrics.watch(f"speech_jobs_{state}", help_text, partial(self._count, state))
        metrics.watch("speech_jobs_in_hand", "Messages that this server has now", lambda: self.runner.in_hand)
        readiness.watch("queue", lambda: self.failing_since)

    def _count(self, state: str) -> float:
        return getattr(self.depth, state)

    async def stop(self) -> None:
        """Gives back what is in hand. The store must still be there."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.runner.stop()
        await self.telling.close()
        await self.queue.close()

    async def state(self, order: JobOrder) -> tuple[Tally, End | None]:
        """How far a job is. Raises StoreError."""
        end = await self.ledger.end(order.client, order.id)
        if end is not None:
            return end.tally, end
        return Tally(1) if order.total == 1 else await self.ledger.tally(order), None

    async def cancel(self, order: JobOrder) -> tuple[Tally, End]:
        """End the job; what was spoken stays. One that has ended stays as it is. Raises StoreError."""
        tally, end = await self.state(order)
        if end is None:
            tally = tally.cancel_rest()
            end = End("cancelled", self.acceptance.clock(), tally, error=_CANCELLED)
            if not await self.ledger.set_end(order, end):
                tally, found = await self.state(order)
                return tally, found or end
            try:
                await self.telling.job_ended(order, end)
            except QueueError as error:
                # Whoever cancels knows of it already.
                log.warning("job_end_not_told", extra={"fields": {"job": order.id, "reason": str(error)}})
        return end.tally, end

    async def _keep_watch(self) -> None:
        while True:
            try:
                self.depth = await self.queue.depth()
                self.failing_since = None
                if self.depth.dead:
                    await self.dead_letters.look()
                await self.tidying.tidy()
            except QueueError as error:
                self.failing_since = self.failing_since or datetime.now(timezone.utc)
                log.warning("queue_unavailable", extra={"fields": {"reason": str(error)}})
            except StoreError as error:
                log.warning("jobs_not_tidied", extra={"fields": {"reason": str(error)}})
            # Not all servers at the same moment.
            await asyncio.sleep(self.watch_seconds * random.uniform(0.7, 1.3))  # noqa: S311 - no secret


def make_desk(
    settings: Settings,
    store: Store,
    voices: Voices,
    pipeline: Pipeline,
    keys: KeyRing,
    draining: Callable[[], bool],
) -> Desk:
    """To be called inside the event loop. Raises ValueError for a URL that names no queue or topic."""
    queue = open_queue(settings.queue)
    ledger = Ledger(store)
    views = Views(store)
    webhooks = Webhooks(PublicHttp(settings.webhook_loopback))
    topic = open_topic(settings.topic) if settings.topic else None
    telling = Telling(queue, ledger, views, keys, webhooks, topic)
    speaker = ClipSpeaker(store, pipeline, voices)
    work = Work(store, queue, ledger, speaker, Completion(ledger), telling)
    host = pipeline.speaker.host
    runner = Runner(
        queue,
        work,
        pipeline.speaker.lane,
        wants=lambda: (host.ready or host.asleep) and not draining(),
        lease_seconds=settings.job_lease_seconds,
    )
    return Desk(
        queue=queue,
        ledger=ledger,
        views=views,
        acceptance=Acceptance(store, queue, ledger, pipeline, pipeline.references, voices, settings.webhook_loopback),
        dead_letters=DeadLetters(queue, ledger, work),
        telling=telling,
        tidying=Tidying(store, queue, ledger, settings.result_days),
        runner=runner,
        watch_seconds=min(60.0, float(settings.job_lease_seconds)),
    )
