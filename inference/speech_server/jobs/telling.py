"""Telling whoever waits that a job has ended: at once, and then again over two days until somebody has taken it.

The durable part is a message in the queue, sent before the first try: a server that dies while it tells leaves it
there. A try that fails sends the message of the next one before its own is deleted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from speech_server.auth import KeyRing
from speech_server.jobs.ledger import Ledger
from speech_server.jobs.messages import Channel, Tell, to_body
from speech_server.jobs.records import End, JobOrder
from speech_server.jobs.views import Views
from speech_server.notify.topic import Topic
from speech_server.notify.webhook import NotToldError, Webhooks
from speech_server.queues.base import Queue
from speech_server.storage.store import StoreError

# Seconds from one try to the next: the first is made at once, the last after two days. The first of these
# must be longer than a try takes, or two tries would run at once.
DELAYS = (30, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000)

_SCHEDULED = "scheduled"  # the message of the second try is in the queue
_SETTLED = "settled"  # somebody was told, or all tries were made

log = logging.getLogger("speech_server.jobs")


@dataclass(frozen=True)
class Telling:
    """`topic` is where every job's end is published; a job's own webhook stands in its order."""

    queue: Queue
    ledger: Ledger
    views: Views
    keys: KeyRing
    webhooks: Webhooks
    topic: Topic | None
    clock: Callable[[], float] = time.time
    _first_tries: set[asyncio.Task[None]] = field(default_factory=set)

    async def job_ended(self, order: JobOrder, end: End) -> None:
        """See to it that everybody who waits for the job is told; again for the same end it does nothing.

        Raises QueueError or StoreError.
        """
        for channel in self._channels(order):
            if await self._is_noted(order, end, channel, _SCHEDULED):
                continue
            first = Tell(order.client, order.id, channel, 1, self.clock() + DELAYS[0])
            await self.queue.send([to_body(first)], DELAYS[0])
            await self._note(order, end, channel, _SCHEDULED)
            task = asyncio.create_task(self._first_try(order, end, channel))
            self._first_tries.add(task)
            task.add_done_callback(self._first_tries.discard)

    async def tell(self, task: Tell) -> None:
        """One try, or a longer wait for it. Raises QueueError or StoreError."""
        left = task.at - self.clock()
        if left > 1:
            await self.queue.send([to_body(task)], min(self.queue.max_delay_seconds, round(left)))
            return
        order = await self.ledger.order(task.client, task.job)
        end = await self.ledger.end(task.client, task.job)
        if order is None or end is None or task.channel not in self._channels(order):
            return
        if await self._is_noted(order, end, task.channel, _SETTLED):
            return
        try:
            await self._try(order, end, task.channel)
        except NotToldError as error:
            await self._after_failure(task, order, end, error)

    async def settled(self) -> None:
        """Returns when no first try is being made."""
        await asyncio.gather(*self._first_tries)

    async def close(self) -> None:
        for task in self._first_tries:
            task.cancel()
        await asyncio.gather(*self._first_tries, return_exceptions=True)
        if self.topic is not None:
            await self.topic.close()

    async def _first_try(self, order: JobOrder, end: End, channel: Channel) -> None:
        try:
            await self._try(order, end, channel)
        except (NotToldError, StoreError) as error:
            self._log_failure(order, channel, 0, error)

    async def _after_failure(self, task: Tell, order: JobOrder, end: End, error: NotToldError) -> None:
        self._log_failure(order, task.channel, task.attempt, error)
        if error.final or task.attempt >= len(DELAYS):
            await self._note(order, end, task.channel, _SETTLED)
            return
        delay = DELAYS[task.attempt]
        following = Tell(task.client, task.job, task.channel, task.attempt + 1, self.clock() + delay)
        await self.queue.send([to_body(following)], min(self.queue.max_delay_seconds, delay))

    async def _try(self, order: JobOrder, end: End, channel: Channel) -> None:
        """Raises NotToldError or StoreError."""
        now = datetime.fromtimestamp(self.clock(), timezone.utc)
        job = await self.views.job(order, end.tally, end)
        event = {
            "type": f"job.{end.status}",
            "timestamp": datetime.fromtimestamp(end.finished_at, timezone.utc).isoformat(),
            "data": job.model_dump(mode="json"),
        }
        if channel == "webhook":
            assert order.webhook is not None
            policy = self.keys.policy(order.client)
            if policy is None or not policy.webhook_secrets:
                raise NotToldError("the client is not in the keys file any more", final=True)
            body = json.dumps(event).encode()
            await self.webhooks.send(order.webhook, _event_id(order, end), now, body, policy.webhook_secrets)
        else:
            assert self.topic is not None
            body = json.dumps({**event, "client": order.client})
            await self.topic.publish(body, order.client, end.status)
        await self._note(order, end, channel, _SETTLED)

    def _channels(self, order: JobOrder) -> list[Channel]:
        channels: list[Channel] = []
        if order.webhook is not None:
            channels.append("webhook")
        if self.topic is not None:
            channels.append("topic")
        return channels

    async def _is_noted(self, order: JobOrder, end: End, channel: Channel, what: str) -> bool:
        return await self.ledger.is_noted(order.client, order.id, _note_name(end, channel, what))

    async def _note(self, order: JobOrder, end: End, channel: Channel, what: str) -> None:
        await self.ledger.note(order.client, order.id, _note_name(end, channel, what))

    def _log_failure(self, order: JobOrder, channel: Channel, attempt: int, error: Exception) -> None:
        fields = {"job": order.id, "channel": channel, "attempt": attempt, "reason": str(error)}
        log.warning("job_end_not_told", extra={"fields": fields})


def _event_id(order: JobOrder, end: End) -> str:
    """The same for every try; another one when a dead letter was driven again and the job ended a second time."""
    return f"{order.id}-{round(end.finished_at * 1000)}"


def _note_name(end: End, channel: Channel, what: str) -> str:
    return f"{channel}-{round(end.finished_at * 1000)}-{what}"
