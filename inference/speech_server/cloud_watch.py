"""What of this machine keeps the store from answering - clock, role, network: asked at the start, until all is well."""

from __future__ import annotations

import asyncio
import logging

from speech_server.node.clouds import Cloud, cloud_facts, problems
from speech_server.readiness import Readiness

_AGAIN_SECONDS = 60.0

log = logging.getLogger("speech_server.preflight")


async def watch_cloud(store: str, readiness: Readiness) -> None:
    """Tell `readiness` and the log what is wrong and what to do; returns when nothing is."""
    while True:
        found = _told(await asyncio.to_thread(cloud_facts, store))
        for problem in found:
            log.error("preflight_problem", extra={"fields": {"problem": problem}})
        readiness.problems = tuple(found)
        if not found:
            return
        await asyncio.sleep(_AGAIN_SECONDS)


def _told(cloud: Cloud | None) -> list[str]:
    return [] if cloud is None else [str(problem) for problem in problems(cloud)]
