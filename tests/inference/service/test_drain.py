"""Two nodes that are taken away at random and come back, under requests and jobs: real servers, the real load balancer.

Who goes, how, and when is drawn from a seed. The short run takes a node away in three ways; `make test-drain` in all of
them, for MINUTES. A clip that a client did not get at once, it asks for again, as the refusal told it to.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.inference.notify.receiver import Receiver
from tests.inference.service.afterwards import all_ended, check_jobs, check_logs, check_webhooks, jobs_told
from tests.inference.service.crowd import Ask, JobPlan, Ledger, ask_once, order_job, plan_asks, plan_jobs
from tests.inference.service.identity_engine import UNHURRIED
from tests.inference.service.stack import Stack, running_stack, until_true
from tests.inference.service.tenants import KEYS, Clip, Tenant, settle_in

SEED = 20261123
NODES = 2
ASKING = 4  # requests at once
MINUTES = float(os.environ.get("DRAIN_TEST_MINUTES", "0"))
# A notice that hardly anything fits into, a machine that is gone, and an operator who looks at a node and gives it
# back; and in the long run a notice that everything fits into, and a scale-in's signal.
WAYS = ("notice of 1 s", "kill -9", "stay and back", *(("notice of 30 s", "SIGTERM") if MINUTES else ()))
# Between two of them in the long run: as often as the nodes come back.
SETTLE_SECONDS = 1.0
MOST_JOB_CLIPS = 12_000


@dataclass
class Outcome:
    """`clips`: number of an ask -> how many clips its client got for it; `again`: how often it had to ask again."""

    ledger: Ledger = field(default_factory=Ledger)
    clips: Counter[int] = field(default_factory=Counter)
    again: int = 0
    taken_away: Counter[str] = field(default_factory=Counter)
    lost_orders: list[list[Clip]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Generator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path) -> Generator[Stack]:
    settings = {"job_lease_seconds": 4, "max_wait_seconds": 10, "engine": UNHURRIED}
    with running_stack(tmp_path, NODES, KEYS, **settings) as running:
        yield running


class TestNodesThatGoAndComeBack:
    @pytest.mark.timeout(300 + 90 * MINUTES)
    def test_every_clip_comes_once(self, stack: Stack, receiver: Receiver) -> None:
        asyncio.run(_all(stack, receiver))


async def _all(stack: Stack, receiver: Receiver) -> None:
    outcome = Outcome()
    chance = Random(SEED)
    stop = asyncio.Event()
    async with httpx.AsyncClient(base_url=stack.url, timeout=90, limits=httpx.Limits(max_connections=50)) as http:
        tenants = await settle_in(http)
        asks = enumerate(_asks(tenants, chance))
        plans = _job_plans(tenants, chance, receiver.url)
        began = time.monotonic()
        working = [asyncio.create_task(_ask_on(http, asks, outcome, stop)) for _ in range(ASKING)]
        working.append(asyncio.create_task(_order_on(http, plans, stack, outcome, stop)))
        await _take_away(stack, chance, outcome, began)
        stop.set()
        took = time.monotonic() - began
        await asyncio.gather(*working)
        assert outcome.ledger.wrong == []
        await all_ended(http, tenants, 120)
        _tell(outcome, tenants, stack, took)
        await check_jobs(http, stack, tenants, outcome.lost_orders)
        expected = {job for tenant in tenants for job in tenant.jobs if job in tenant.told}
        await until_true(lambda: expected <= jobs_told(receiver), 60, "webhooks")
        check_webhooks(receiver, tenants)
    _check_ledger(outcome)
    check_logs(stack)


def _asks(tenants: list[Tenant], chance: Random) -> Iterator[Ask]:
    for first in itertools.count(0, 200):
        for ask in plan_asks(tenants, 200, chance, first):
            if not ask.foreign and ask.leaves_after is None:
                yield ask


def _job_plans(tenants: list[Tenant], chance: Random, webhook: str) -> Iterator[JobPlan]:
    for first in itertools.count(0, 100):
        yield from plan_jobs(tenants, 100, chance, webhook, first)


async def _ask_on(
    http: httpx.AsyncClient, asks: Iterator[tuple[int, Ask]], outcome: Outcome, stop: asyncio.Event
) -> None:
    for number, ask in asks:
        while not await ask_once(http, ask, outcome.ledger):
            outcome.again += 1
            assert not outcome.ledger.wrong, outcome.ledger.wrong
            await asyncio.sleep(0.2)
        outcome.clips[number] += 1
        if stop.is_set():
            return


async def _order_on(
    http: httpx.AsyncClient, plans: Iterator[JobPlan], stack: Stack, outcome: Outcome, stop: asyncio.Event
) -> None:
    """Never so far ahead that the queue outlives the test by long."""
    ordered = 0
    for plan in plans:
        if stop.is_set() or ordered >= MOST_JOB_CLIPS:
            return
        await order_job(http, plan, outcome.ledger, outcome.lost_orders)
        ordered += len(plan.clips)
        while ordered - len(stack.stored_results()) > 8 and not stop.is_set():
            await asyncio.sleep(0.1)


async def _take_away(stack: Stack, chance: Random, outcome: Outcome, began: float) -> None:
    """One node after another, so that there is always one: each way once, and on for MINUTES."""
    ways = list(WAYS)
    chance.shuffle(ways)
    while ways or time.monotonic() - began < 60 * MINUTES:
        way = ways.pop() if ways else chance.choice(WAYS)
        number = chance.randrange(NODES)
        await asyncio.sleep(chance.uniform(0.1, SETTLE_SECONDS))
        status = await _by(way, stack, number)
        assert status == 0, f"{way}: {status}"
        outcome.taken_away[way] += 1
        await stack.is_up(number)


async def _by(way: str, stack: Stack, number: int) -> int:
    if way == "kill -9":
        stack.kill_server(number)
        return 0
    if way == "SIGTERM":
        return await stack.drain_server(number)
    if way == "stay and back":
        status = await stack.order_drain(number, "--stay", "--reason", "a look at the node")
        return status + await stack.node_command(number, "undrain")
    seconds = way.split()[2]
    return await stack.order_drain(number, "--within", seconds, "--reason", "a spot notice")


def _tell(outcome: Outcome, tenants: list[Tenant], stack: Stack, seconds: float) -> None:
    jobs = sum(len(tenant.jobs) for tenant in tenants)
    clips = sum(len(clips) for tenant in tenants for clips in tenant.jobs.values())
    sys.stderr.write(
        f"\ndrain: {seconds:.0f} s, {dict(outcome.taken_away)}; {len(outcome.clips)} clips asked for and got once "
        f"each, {outcome.again} asked for again; {jobs} jobs of {clips} clips, {len(stack.stored_results())} results; "
        f"answers {dict(outcome.ledger.answers)}, cuts {len(outcome.ledger.cuts)}\n"
    )


def _check_ledger(outcome: Outcome) -> None:
    """That the test has tested something; and that only a machine that is gone cuts an answer off."""
    assert set(outcome.taken_away) == set(WAYS)
    assert outcome.clips.total() == len(outcome.clips) >= 10
    assert set(outcome.clips) == set(range(len(outcome.clips)))
    assert outcome.ledger.answers["job 202"] >= 5
    assert outcome.ledger.answers["cut"] <= outcome.taken_away["kill -9"] * ASKING
