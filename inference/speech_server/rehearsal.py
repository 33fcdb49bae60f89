"""One request through the whole way before anybody's: a first client does not pay for what a process does only once.

It meets the very code that every request meets, from the bytes on a socket to the bytes of the answer. What a request
leaves behind - counts, log lines, stored answers, a client's budget - goes to stand-ins that are thrown away, and the
engine is one too: it is still loading then, and warms itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from speech_server.auth import KeyRing
from speech_server.dedup import Dedup
from speech_server.engines.base import Capabilities, Spoken, Utterance
from speech_server.engines.pool import EnginePool
from speech_server.estimates.lengths import Lengths
from speech_server.estimates.speed import RealTimeFactor
from speech_server.guarded_http import GuardedHttp
from speech_server.lane import Lane
from speech_server.metrics import Metrics
from speech_server.tenants.limits import ClientLimits
from speech_server.tenants.policy import ClientPolicy
from speech_server.traces import Traces
from speech_server.usage.ledger import Ledger

if TYPE_CHECKING:  # it is a part of neither, and made by the same hand
    from speech_server.service import Service

_TIMES = 10  # the interpreter makes code faster that ran a few times
_REQUESTS = {
    "/generate": lambda text: {"text": text},
    "/v1/audio/speech": lambda text: {"model": "rehearsal", "voice": "default", "input": text},
}
_SECONDS = 5.0  # a server that cannot answer itself by then is to tell its clients why, and not to wait for itself
_RATE = 22_050

log = logging.getLogger("speech_server.process")


async def rehearse(service: Service, app_for: Callable[[Service], ASGIApp]) -> None:
    """Have `app_for` the service's stand-in answer a few requests. Raises nothing: what fails is logged."""
    try:
        status = await asyncio.wait_for(_ask(app_for(_stand_in(service))), _SECONDS)
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
        status = type(error).__name__
    if status != "200":
        log.warning("rehearsal_failed", extra={"fields": {"status": status}})


async def _ask(app: ASGIApp) -> str:
    """The status of the first answer that is not 200, if one is."""
    config = uvicorn.Config(app, http=GuardedHttp, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    state = ServerState()
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(lambda: GuardedHttp(config, state, {}), theirs)
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    statuses: list[str] = []
    try:
        for number in range(_TIMES):
            for path, body_of in _REQUESTS.items():
                body = json.dumps(body_of(f"{number}, 你好 hello {path}")).encode()
                head = f"POST {path} HTTP/1.1\r\nHost: rehearsal\r\nAuthorization: Bearer -\r\n"
                head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                statuses.append(answer.split(b" ", 2)[1].decode())
                await reader.readexactly(_length(answer))
    finally:
        writer.close()
    return next((status for status in statuses if status != "200"), "200")


def _length(head: bytes) -> int:
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return int(lengths[0])


def _stand_in(service: Service) -> Service:
    metrics, traces, speed, host = Metrics(), Traces(), RealTimeFactor(), cast(EnginePool, _Actor())
    speaker = replace(
        service.pipeline.speaker,
        lane=Lane(speed, 1.0),
        speed=speed,
        lengths=Lengths(),
        host=host,
        metrics=metrics,
        traces=traces,
        ledger=Ledger(),
    )
    limits = ClientLimits(lambda _: ClientPolicy())
    pipeline = replace(service.pipeline, limits=limits, dedup=Dedup(), speaker=speaker)
    return replace(service, keys=cast(KeyRing, _AnyKey()), metrics=metrics, traces=traces, host=host, pipeline=pipeline)


class _AnyKey:
    def client_of(self, key: str) -> str:  # noqa: ARG002 - the interface
        return "rehearsal"


class _Actor:
    """A pool of engines that are warm and say the same of everything."""

    ready = True
    capabilities = Capabilities("rehearsal", "1", _RATE, ("zh", "en"), ("default",), False, False, False)

    async def speak(self, utterance: Utterance, seconds: float, ready_seconds: float, ahead: bool) -> Spoken:  # noqa: ARG002
        return Spoken(bytes(_RATE // 5), _RATE, ())
