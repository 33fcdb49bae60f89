"""What came to nothing: clips that three servers took and none finished.

The letters stay in the vendor's dead-letter queue, where its alarms count them, until somebody drives them again. One
that nobody found fault with, because servers ended while they had it, is driven again by itself, twice.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from speech_server.jobs.ledger import Ledger
from speech_server.jobs.messages import NoTaskError, SpeakClip, StartPart, Task, Tell, from_body, to_body
from speech_server.jobs.work import Work
from speech_server.queues.base import Message, Queue

_LIVES = 2
_LOOKED_AT = 500
_REMEMBERED = 10_000

log = logging.getLogger("speech_server.jobs")


@dataclass(frozen=True)
class Letter:
    """A dead letter and what it was to do; None for a message that no server wrote."""

    message: Message
    task: Task | None


@dataclass(frozen=True)
class DeadLetters:
    """Every method raises QueueError or StoreError."""

    queue: Queue
    ledger: Ledger
    work: Work
    _known: OrderedDict[str, None] = field(default_factory=OrderedDict)

    async def letters(self, most: int) -> list[Letter]:
        return [Letter(message, _task(message)) for message in await self.queue.dead_letters(most)]

    async def redrive(self, ids: Sequence[str] | None, most: int) -> int:
        """Drive again those with these ids, or the first `most`; how many were."""
        wanted = None if ids is None else set(ids)
        count = 0
        for letter in await self.letters(most):
            if letter.task is None or (wanted is not None and letter.message.id not in wanted):
                continue
            task = letter.task
            if isinstance(task, SpeakClip):
                task = replace(task, redriven=True, lives=0)
            elif isinstance(task, StartPart):
                task = replace(task, lives=0)
            await self.queue.redrive(letter.message, to_body(task))
            count += 1
        return count

    async def look(self) -> None:
        """Write down the failure of each letter that is new here, or give it another life."""
        for letter in await self.letters(_LOOKED_AT):
            if letter.message.id in self._known:
                continue
            task = letter.task
            if isinstance(task, SpeakClip | StartPart) and not await self._is_written_down(task):
                log.warning("job_dead_letter", extra={"fields": {"job": task.job, "lives": task.lives}})
                if task.lives < _LIVES:
                    await self.queue.redrive(letter.message, to_body(replace(task, lives=task.lives + 1)))
                    continue
                await self.work.give_up(task)
            self._known[letter.message.id] = None
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    async def _is_written_down(self, task: SpeakClip | StartPart) -> bool:
        order = await self.ledger.order(task.client, task.job)
        if order is None or await self.ledger.has_ended(task.client, task.job):
            return True
        if isinstance(task, StartPart) or order.total == 1:
            return False
        return await self.ledger.outcome(order, task.clip) is not None


def _task(message: Message) -> Task | None:
    try:
        return from_body(message.body)
    except NoTaskError:
        return None


def what_of(task: Task | None) -> str:
    """What a letter was to do, in a word."""
    if isinstance(task, SpeakClip):
        return "clip"
    if isinstance(task, StartPart):
        return "start"
    return "unknown" if not isinstance(task, Tell) else f"tell-{task.channel}"
