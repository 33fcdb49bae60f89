"""What one client may do and is known by, as its entry in the keys file says."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ClientPolicy:
    """None is no limit.

    `concurrency` is of requests being answered at once, `audio_seconds_per_minute` of speech asked for; both hold for
    synchronous requests, since a job waits for its turn anyway. `webhook_secrets` ("whsec_...") sign what this client
    is sent, each of them: whoever checks a signature needs one, and has the old one until both sides know the new one.
    """

    concurrency: int | None = None
    audio_seconds_per_minute: float | None = None
    admin: bool = False
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
