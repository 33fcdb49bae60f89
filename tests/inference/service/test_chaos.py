"""Four clients, 2,000 requests and 500 jobs, while servers and their engines are killed: real processes throughout.

The engine writes into the sound whose voice it is and what it says; the clients read it back. Who is killed, and after
how much of the work, is drawn from a seed; how the processes interleave is not, so no two runs are the same.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.inference.notify.receiver import Receiver
from tests.inference.service.afterwards import (
    all_ended,
    check_jobs,
    check_logs,
    check_walls,
    check_webhooks,
    jobs_told,
)
from tests.inference.service.crowd import Ledger, ask_once, order_job, plan_asks, plan_jobs
from tests.inference.service.stack import Stack, running_stack, until_true
from tests.inference.service.tenants import KEYS, Clip, settle_in

SEED = 20261122
REQUESTS = 2000
JOBS = 500
KILLS = 60
REPLICAS = 3
AT_ONCE = 24  # requests; the jobs are ordered by four clients more


@pytest.fixture
def receiver() -> Generator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path) -> Generator[Stack]:
    with running_stack(tmp_path, REPLICAS, KEYS, job_lease_seconds=3, max_wait_seconds=2) as running:
        yield running


class TestChaos:
    # Two minutes on the two cores it is measured on; the pytest limit is for those that have more to do.
    @pytest.mark.timeout(600)
    def test_nothing_is_lost_mixed_up_or_told_wrong(self, stack: Stack, receiver: Receiver) -> None:
        asyncio.run(_chaos(stack, receiver))


async def _chaos(stack: Stack, receiver: Receiver) -> None:
    chance = Random(SEED)
    ledger = Ledger()
    lost: list[list[Clip]] = []
    async with httpx.AsyncClient(base_url=stack.url, timeout=90, limits=httpx.Limits(max_connections=100)) as http:
        tenants = await settle_in(http)
        asks = plan_asks(tenants, REQUESTS, chance)
        plans = plan_jobs(tenants, JOBS, chance, receiver.url)
        clips = sum(len(plan.clips) for plan in plans)

        def progress() -> float:
            return (ledger.asked + len(stack.stored_results())) / (len(asks) + clips)

        began = time.monotonic()
        killing = asyncio.create_task(_kill(stack, progress, chance))
        await asyncio.gather(
            _by_several(AT_ONCE, asks, lambda ask: ask_once(http, ask, ledger)),
            _by_several(len(tenants), plans, lambda plan: order_job(http, plan, ledger, lost)),
        )
        spoke = time.monotonic()
        assert ledger.wrong == []
        await all_ended(http, tenants, 150)
        ended = time.monotonic()
        killed = await asyncio.wait_for(killing, 60)
        told = f"{dict(killed)}, answers {dict(ledger.answers)}, cuts {ledger.cuts}"
        sys.stderr.write(f"\nchaos: {told}; asked in {spoke - began:.0f} s, jobs in {ended - began:.0f} s\n")

        await check_jobs(http, stack, tenants, lost)
        await check_walls(http, tenants)
        expected = {job for tenant in tenants for job in tenant.jobs if job in tenant.told}
        await until_true(lambda: expected <= jobs_told(receiver), 60, "webhooks")
        check_webhooks(receiver, tenants)
    _check_ledger(ledger, killed)
    check_logs(stack)


def _check_ledger(ledger: Ledger, killed: Counter[str]) -> None:
    """That the test has tested something, and that little was cut off."""
    assert killed.total() == KILLS
    assert min(killed["engine"], killed["server"]) >= KILLS // 4
    assert ledger.answers["200"] > REQUESTS // 2
    assert ledger.answers["429"] > 0
    assert ledger.answers["left"] > 0
    assert ledger.answers["404"] > 0
    assert ledger.answers["cut"] <= killed["server"]


async def _by_several(count: int, work: Iterable[Any], do: Callable[[Any], Awaitable[None]]) -> None:
    left = iter(work)

    async def one() -> None:
        for item in left:
            await do(item)

    await asyncio.gather(*(one() for _ in range(count)))


async def _kill(stack: Stack, progress: Callable[[], float], chance: Random) -> Counter[str]:
    """KILLS times, evenly over the work: an engine, or a server, or one server is told to end."""
    done: Counter[str] = Counter()
    draining: list[asyncio.Task[int]] = []
    away: set[int] = set()

    async def drain(number: int) -> int:
        away.add(number)
        try:
            return await stack.drain_server(number)
        finally:
            away.remove(number)

    for count in range(1, KILLS + 1):
        await until_true(lambda count=count: progress() >= count / (KILLS + 1), 200, f"work for kill {count}")
        there = [number for number in range(REPLICAS) if number not in away]
        chance.shuffle(there)
        how = chance.choices(["engine", "server", "drain"], [5, 4, 1])[0]
        if how == "engine" and not any(stack.kill_engine(number) for number in there):
            how = "server"  # every server is just starting
        if how == "server" and there:
            stack.kill_server(there[0])
        elif how == "drain" and there:
            draining.append(asyncio.create_task(drain(there[0])))
        done[how] += 1
    assert await asyncio.gather(*draining) == [0] * len(draining)
    return done
