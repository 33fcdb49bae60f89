"""Working for a client only as long as it is there, and only until its answer would come too late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.types import Receive

from speech_server.errors import ApiError, ClientLeftError, retry_later
from speech_server.interrupt import Interrupt

T = TypeVar("T")

# Nobody looks whether the client of a shorter request left: to find out costs a task.
_UNWATCHED_SECONDS = 0.05
_LATE_RETRY_SECONDS = 10.0


async def attended(work: Awaitable[T], receive: Receive, seconds: float) -> T:
    """What `work` returns. Raises ClientLeftError when the client has left, ApiError (503) after `seconds`; the work is
    cancelled and has ended then.
    """
    loop = asyncio.get_running_loop()
    interrupt = Interrupt()
    watching: list[asyncio.Task[None] | asyncio.TimerHandle] = []

    def watch() -> None:
        watching.append(loop.create_task(tell_when_left(receive, interrupt)))
        left = max(0.0, seconds - _UNWATCHED_SECONDS)
        watching.append(loop.call_later(left, lambda: interrupt(too_late(seconds))))

    watching.append(loop.call_later(_UNWATCHED_SECONDS, watch))
    try:
        return await interrupt.run(work)
    finally:
        for watch_or_timer in watching:
            watch_or_timer.cancel()


def too_late(seconds: float) -> ApiError:
    message = f"there was no answer within {seconds:g} s; a job may take longer: POST it to /v1/jobs"
    return retry_later(503, "too_late", message, _LATE_RETRY_SECONDS)


async def tell_when_left(receive: Receive, interrupt: Interrupt) -> None:
    """Interrupts with ClientLeftError as soon as the connection is closed."""
    while (await receive())["type"] != "http.disconnect":
        pass
    interrupt(ClientLeftError())
