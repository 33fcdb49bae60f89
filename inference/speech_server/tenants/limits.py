"""What each client may ask for at once and in a minute, counted in this server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from speech_server.errors import ApiError, retry_later
from speech_server.tenants.policy import ClientPolicy

# When a request in progress will end is not known; a client that comes back too early is told so again.
_PLACE_RETRY_SECONDS = 2.0


@dataclass
class _Budget:
    """Audio seconds that may be asked for now; one minute's worth at most, and below zero after a long text."""

    level: float
    updated: float


class ClientLimits:
    """Every call raises ApiError (429 with Retry-After) and changes nothing when the limit is reached."""

    def __init__(
        self, policy: Callable[[str], ClientPolicy | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._in_progress: dict[str, int] = {}
        self._budgets: dict[str, _Budget] = {}

    def begin(self, client: str) -> None:
        """A request begins; `end()` it."""
        policy = self._policy(client)
        count = self._in_progress.get(client, 0)
        if policy is not None and policy.concurrency is not None and count >= policy.concurrency:
            message = (
                f"client {client} may have {policy.concurrency} requests in progress and has them; use jobs for more"
            )
            raise retry_later(429, "concurrency_limit", message, _PLACE_RETRY_SECONDS)
        self._in_progress[client] = count + 1

    def end(self, client: str) -> None:
        left = self._in_progress[client] - 1
        if left:
            self._in_progress[client] = left
        else:
            del self._in_progress[client]

    def spend(self, client: str, audio_seconds: float) -> None:
        """Take this much speech from the minute's budget. A text longer than the budget waits for a full one."""
        policy = self._policy(client)
        if policy is None or policy.audio_seconds_per_minute is None:
            self._budgets.pop(client, None)
            return
        limit = policy.audio_seconds_per_minute
        budget = self._refilled(client, limit)
        missing = min(audio_seconds, limit) - budget.level
        if missing > 0:
            raise _over_budget(client, limit, missing * 60 / limit)
        budget.level -= audio_seconds

    def correct(self, client: str, audio_seconds: float) -> None:
        """So much more was spoken than was spent before; less, or none at all, if negative."""
        budget = self._budgets.get(client)
        if budget is not None:
            budget.level -= audio_seconds

    def _refilled(self, client: str, limit: float) -> _Budget:
        now = self._clock()
        budget = self._budgets.setdefault(client, _Budget(limit, now))
        budget.level = min(limit, budget.level + (now - budget.updated) * limit / 60)
        budget.updated = now
        return budget


def _over_budget(client: str, limit: float, seconds: float) -> ApiError:
    message = f"client {client} may have {limit:g} seconds of speech a minute and has had them; use jobs for more"
    return retry_later(429, "audio_limit", message, seconds)
