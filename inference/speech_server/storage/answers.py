"""What a client is told when there is no store, or when the store cannot be asked."""

from __future__ import annotations

import logging

from speech_server.errors import ApiError, retry_later
from speech_server.storage.store import StoreError

_RETRY_SECONDS = 5.0

log = logging.getLogger("speech_server.storage")


def no_store() -> ApiError:
    """For what needs a store, on a service that was given none."""
    message = "this service has no store, which voices and jobs need: set SPEECH_STORE (file:///DIR, s3://, oss://)"
    return ApiError(503, "no_store", message)


def store_unavailable(error: StoreError) -> ApiError:
    """The reason goes to the log: it may name addresses that are nobody else's business."""
    log.warning("store_call_failed", extra={"fields": {"reason": str(error)}})
    return retry_later(503, "store_unavailable", "the store cannot be reached at the moment", _RETRY_SECONDS)
