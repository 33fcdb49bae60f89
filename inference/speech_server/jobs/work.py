"""What is done for one message, and what then becomes of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from speech_server.errors import ApiError
from speech_server.jobs.completion import Completion
from speech_server.jobs.layout import PART_CLIPS
from speech_server.jobs.ledger import Ledger, part_size
from speech_server.jobs.messages import NoTaskError, SpeakClip, StartPart, from_body, to_body
from speech_server.jobs.records import ClipError, End, JobOrder, Outcome, Tally, end_of
from speech_server.jobs.speaking import ClipSpeaker, TryAgainError, failure
from speech_server.jobs.telling import Telling
from speech_server.logs import where
from speech_server.queues.base import MAX_TRIES, Message, Queue, QueueError
from speech_server.storage.store import Store, StoreError

# Before the second and the third try of a clip that the engine failed on.
_RETRY_SECONDS = (5, 60)

log = logging.getLogger("speech_server.jobs")


class Fate(Enum):
    """What becomes of a message."""

    DONE = auto()  # deleted
    RETRY = auto()  # this try counts
    GIVE_BACK = auto()  # this one does not: it is the server, the store or the queue that is at fault
    DEAD = auto()  # it had its last try, and is left to the queue's dead letters


@dataclass(frozen=True)
class Verdict:
    fate: Fate
    seconds: int = 0  # until the next try


_DONE = Verdict(Fate.DONE)
_GIVE_BACK = Verdict(Fate.GIVE_BACK)


@dataclass(frozen=True)
class Work:
    """`do()` may be cancelled at any point; the message is then given back."""

    store: Store
    queue: Queue
    ledger: Ledger
    speaker: ClipSpeaker
    completion: Completion
    telling: Telling
    clock: Callable[[], float] = time.time

    async def do(self, message: Message, spoken: Callable[[], None], begun: Callable[[float], None]) -> Verdict:
        """`begun(seconds)` is called when the engine begins, with what it is expected to take (infinite: nobody knows);
        `spoken()` when the message needs no engine any more.
        """
        try:
            task = from_body(message.body)
        except NoTaskError as error:
            log.error("job_message_unknown", extra={"fields": {"message": message.id, "reason": str(error)}})
            return _retry_or_die(message)
        try:
            if isinstance(task, SpeakClip):
                return await self._speak(task, message, spoken, begun)
            spoken()
            if isinstance(task, StartPart):
                await self._start_part(task)
            else:
                await self.telling.tell(task)
        except QueueError as error:
            return self._not_now(message, error)
        except StoreError as error:
            if error.retryable:
                return self._not_now(message, error)
            log.error("job_message_failed", extra={"fields": {"message": message.id, "reason": str(error)}})
            return _retry_or_die(message)
        except Exception as error:
            log.error("job_message_failed", extra={"fields": {"message": message.id, **where(error)}})
            return _retry_or_die(message)
        return _DONE

    def _not_now(self, message: Message, error: Exception) -> Verdict:
        log.warning("job_message_given_back", extra={"fields": {"message": message.id, "reason": str(error)}})
        return _GIVE_BACK

    async def _start_part(self, task: StartPart) -> None:
        order = await self.ledger.order(task.client, task.job)
        if order is None or await self.ledger.has_ended(task.client, task.job):
            return
        first = task.part * PART_CLIPS
        clips = [SpeakClip(task.client, task.job, first + clip) for clip in range(part_size(order.total, task.part))]
        await self.queue.send([to_body(clip) for clip in clips])
        if task.part + 1 < order.parts:
            await self.queue.send([to_body(StartPart(task.client, task.job, task.part + 1))])

    async def _speak(
        self, task: SpeakClip, message: Message, spoken: Callable[[], None], begun: Callable[[float], None]
    ) -> Verdict:
        order = await self.ledger.order(task.client, task.job)
        if order is None or not 0 <= task.clip < order.total:
            log.info("job_message_without_order", extra={"fields": {"job": task.job, "message": message.id}})
            return _DONE
        end = await self.ledger.end(task.client, task.job)
        if end is not None and not (task.redriven and end.status == "failed"):
            spoken()
            await self.telling.job_ended(order, end)  # whoever ended it may have died before it told
            return _DONE
        if order.total > 1 and not task.redriven and await self.ledger.outcome(order, task.clip) is not None:
            spoken()
            await self._end_batch(order, task)
            return _DONE
        outcome, verdict = await self._outcome(order, task, message, begun)
        spoken()
        if outcome is not None:
            await self._write_down(order, task, outcome)
        return verdict

    async def _outcome(
        self, order: JobOrder, task: SpeakClip, message: Message, begun: Callable[[float], None]
    ) -> tuple[Outcome | None, Verdict]:
        try:
            return await self.speaker.speak(order, task.clip, begun), _DONE
        except TryAgainError as error:
            problem = error
        except StoreError:
            raise
        except Exception as error:
            log.error("job_clip_failed", extra={"fields": {"job": task.job, "clip": task.clip, **where(error)}})
            problem = TryAgainError(ApiError(500, "internal_error", "the server failed on this clip"), counts=True)
        fields = {"job": task.job, "clip": task.clip, "tries": message.tries, "code": problem.error.code}
        log.warning("job_clip_not_spoken", extra={"fields": fields})
        if not problem.counts:
            return None, _GIVE_BACK
        verdict = _retry_or_die(message)
        if verdict.fate is Fate.RETRY:
            return None, verdict
        error = ClipError(problem.error.code, problem.error.message, problem.error.param, gave_up=True)
        return failure(task.clip, error, self.clock()), verdict

    async def _write_down(self, order: JobOrder, task: SpeakClip, outcome: Outcome) -> None:
        if order.total > 1:
            if await self.ledger.has_ended(order.client, order.id) and not task.redriven:
                await self._forget(outcome)  # it was cancelled meanwhile
                return
            await self.ledger.set_outcome(order, outcome, task.redriven)
            await self._end_batch(order, task)
            return
        end = end_of(Tally(1).with_outcomes([outcome]), self.clock(), outcome)
        if await self.ledger.set_end(order, end, task.redriven):
            await self.telling.job_ended(order, end)
            return
        first = await self.ledger.end(order.client, order.id)
        if first is None:
            return
        if first.outcome is None:
            await self._forget(outcome)
        await self.telling.job_ended(order, first)

    async def _end_batch(self, order: JobOrder, task: SpeakClip) -> None:
        end = await self.completion.part_may_be_done(order, task.clip, task.redriven)
        if end is not None:
            await self.telling.job_ended(order, end)

    async def _forget(self, outcome: Outcome) -> None:
        if outcome.key is not None:
            await self.store.delete(outcome.key)

    async def give_up(self, task: SpeakClip | StartPart) -> None:
        """Write down the failure of what became a dead letter without anybody having written it down."""
        order = await self.ledger.order(task.client, task.job)
        if order is None or await self.ledger.has_ended(task.client, task.job):
            return
        error = ClipError(
            "gave_up", f"{MAX_TRIES} servers took this and none finished it: it can be driven again", gave_up=True
        )
        if isinstance(task, SpeakClip):
            if order.total == 1 or await self.ledger.outcome(order, task.clip) is None:
                await self._write_down(order, task, failure(task.clip, error, self.clock()))
            return
        tally = await self.ledger.tally(order)
        end = End("failed", self.clock(), tally.cancel_rest(), error=error)
        if await self.ledger.set_end(order, end):
            await self.telling.job_ended(order, end)


def _retry_or_die(message: Message) -> Verdict:
    if message.tries >= MAX_TRIES:
        return Verdict(Fate.DEAD)
    return Verdict(Fate.RETRY, _RETRY_SECONDS[min(message.tries, len(_RETRY_SECONDS)) - 1])
