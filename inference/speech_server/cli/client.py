"""Asks the service to speak."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from speech_server.cli.asking import ask
from speech_server.cli.failure import CommandError
from speech_server.cli.service_address import ServiceAddress

_SECONDS = 900.0  # a long text on a slow GPU takes minutes


@dataclass(frozen=True)
class Clip:
    """Sound as the service sent it, with what its headers tell."""

    audio: bytes
    seconds: float
    synthesis_seconds: float
    engine: str
    warnings: str


def request_clip(
    service: ServiceAddress,
    body: Mapping[str, object],
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Clip:
    """POST `body` to /generate. A repeated request costs no second synthesis: the server knows it again.

    Raises CommandError for a refusal, and when the service cannot be reached or stays busy.
    """
    return _clip(ask(service, "POST", "/generate", seconds=_SECONDS, transport=transport, sleep=sleep, json=dict(body)))


def _clip(response: httpx.Response) -> Clip:
    try:
        return Clip(
            audio=response.content,
            seconds=float(response.headers["x-audio-seconds"]),
            synthesis_seconds=float(response.headers["x-synthesis-seconds"]),
            engine=response.headers["x-engine"],
            warnings=response.headers.get("x-speech-warnings", ""),
        )
    except (KeyError, ValueError):
        raise CommandError(f"{response.request.url} answered, but is no speech service of this kind") from None
