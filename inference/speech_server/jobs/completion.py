"""Finding out that a job is done, without counting ten thousand clips ten thousand times.

The clips of a batch are counted by parts of a hundred: whoever finishes a clip looks whether its part is complete, and
whoever completes a part looks whether all parts are. A fast engine finishes many clips of a part in the time of one
look, and they share it. A clip's message is deleted only after the look that saw its outcome: a server that dies in
between leaves a message, and who gets it looks again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from speech_server.jobs.layout import PART_CLIPS
from speech_server.jobs.ledger import Ledger
from speech_server.jobs.records import End, JobOrder, end_of

# Outcomes that come within this time share a look at the store.
_TOGETHER_SECONDS = 0.2


@dataclass
class _Look:
    task: asyncio.Task[End | None]
    begun: bool = False
    replace: bool = False
    end_is_told: bool = False


class Completion:
    """`part_may_be_done()` after each outcome of a batch."""

    def __init__(
        self, ledger: Ledger, together_seconds: float = _TOGETHER_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._together_seconds = together_seconds
        self._clock = clock
        self._looks: dict[tuple[str, str, int], _Look] = {}

    async def part_may_be_done(self, order: JobOrder, clip: int, replace: bool = False) -> End | None:
        """The job's end if this call found it. Of those that share a look, one is told.

        `replace`: the outcome replaced another, so what was gathered of it has to be gathered again.
        Raises StoreError.
        """
        part = clip // PART_CLIPS
        name = (order.client, order.id, part)
        look = self._looks.get(name)
        if look is None or look.begun:
            look = _Look(asyncio.create_task(self._look_soon(name, order, part)))
            self._looks[name] = look
        look.replace |= replace
        end = await asyncio.shield(look.task)
        if end is None or look.end_is_told:
            return None
        look.end_is_told = True
        return end

    async def _look_soon(self, name: tuple[str, str, int], order: JobOrder, part: int) -> End | None:
        await asyncio.sleep(self._together_seconds)
        look = self._looks[name]
        look.begun = True
        try:
            if not await self._ledger.complete_part(order, part, look.replace):
                return None
            tally = await self._ledger.complete_job(order)
            if tally is None:
                return None
            end = end_of(tally, self._clock())
            # Whoever was first tells of it.
            return end if await self._ledger.set_end(order, end, look.replace) else None
        finally:
            if self._looks.get(name) is look:
                del self._looks[name]
