"""A webhook call as Standard Webhooks has it: https://github.com/standard-webhooks/standard-webhooks"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from standardwebhooks.webhooks import Webhook

from speech_server.notify.public_http import PublicHttp, UnreachableError

_GONE = 410  # the receiver's way to say that it wants no more


class NotToldError(Exception):
    """Nobody was told; the message says why. `final`: nor would be the next time."""

    def __init__(self, message: str, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class Webhooks:
    """Signs and sends."""

    def __init__(self, http: PublicHttp) -> None:
        self._http = http

    async def send(self, url: str, message_id: str, now: datetime, body: bytes, secrets: Sequence[str]) -> None:
        """Signed with each of `secrets` ("whsec_..."). Raises NotToldError."""
        signatures = [Webhook(secret).sign(message_id, now, body.decode()) for secret in secrets]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "indextts2-speech-service",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        try:
            status = await self._http.post(url, headers, body)
        except UnreachableError as error:
            raise NotToldError(str(error)) from None
        if not 200 <= status < 300:
            raise NotToldError(f"answered {status}", final=status == _GONE)
