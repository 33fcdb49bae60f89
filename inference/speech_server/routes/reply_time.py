"""How long the client of a request waits for its answer: what comes later is spoken for nobody."""

from __future__ import annotations

import math

from starlette.types import Scope

from speech_server.asgi_headers import header_values
from speech_server.errors import ApiError, shown

REPLY_WITHIN = "X-Reply-Within"
# What the openai client says of its own patience, in seconds; a client's library, not its user, sends it.
_PATIENCE = b"x-stainless-read-timeout"


def reply_seconds(scope: Scope, most: float) -> float:
    """Seconds from now in which the answer must be there: what the client says, and never more than `most`.

    Raises ApiError for an X-Reply-Within that is no number of seconds above 0.
    """
    given = header_values(scope, REPLY_WITHIN.lower().encode())
    if not given:
        return min([most, *filter(None, map(_seconds, header_values(scope, _PATIENCE)))])
    seconds = _seconds(given[0]) if len(given) == 1 else None
    if seconds is None:
        message = f"{REPLY_WITHIN} must be one header with a number of seconds above 0, not {shown(', '.join(given))}"
        raise ApiError(400, "invalid_value", message, REPLY_WITHIN)
    return min(most, seconds)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
